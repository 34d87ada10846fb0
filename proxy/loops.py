"""Loops: each hop leaves its mark in CDN-Loop (RFC 8586), and a request that has been here before ends. Pure.

Not Via, which says the same (RFC 9110 section 7.6.3): where a request has one, nginx stops compressing its answer.
"""

from __future__ import annotations

from connectors.dial.marks import CDN_LOOP, MARK, Marks
from connectors.http.message import Headers, RequestHead
from connectors.objects.reasons import Reason, Refusal, RefusedError
from proxy.decision import Forward
from proxy.settings import Installation

FIELD = b"cdn-loop"
# Hops through Connectors, of whatever installation: real chains have two or three. It also ends loops between processes
# that do not know each other, and those in which what lies between gives each turn another Connector.
MAX_HOPS = 8


class Loops:
    """Knows the marks of one installation's Connectors, and its own Services by their names."""

    def __init__(self, installation: Installation, identity: str) -> None:
        """`identity`: see Marks (connectors/dial/marks.py)."""
        self._services = installation.services
        self._marks = Marks(identity, installation.published)
        self.identify, self.mark = self._marks.identify, self._marks.of

    def require_none(self, head: RequestHead, forward: Forward) -> Forward:
        """The same request, with the mark to leave if its target may lead back here.

        It depends on the header block, the Connector and the address alone, so it is remembered with the block.

        Raises:
            RefusedError: LoopDetected.
        """
        address, connector = forward.target.address, forward.plan.key
        if address.server_name in self._services:
            message = "the Connector's address is a Service of the Connectors installation; point it at the tool itself"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))
        mark = self.mark(connector)
        # The fields as they came: what Connection takes away here was there for the hop before.
        hops = [hop for value in head.values(FIELD) for hop in MARK.findall(value)]
        if mark in hops:
            message = f"the request has passed Connector {connector} before; point its address at the tool itself"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))
        if len(hops) >= MAX_HOPS:
            message = f"the request has passed {len(hops)} Connectors, and more than {MAX_HOPS} would be a loop"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))
        return forward.marked(mark) if self._marks.may_lead_back(address) else forward


def fields(mark: bytes) -> Headers:
    """The field line that leaves a mark: a line of its own, so that garbage in another one cannot hide it."""
    return ((CDN_LOOP.encode(), mark),) if mark else ()
