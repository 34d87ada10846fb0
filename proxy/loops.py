"""Loops: each hop leaves its mark in CDN-Loop (RFC 8586), and a request that has been here before ends. Pure.

Not Via, which says the same (RFC 9110 section 7.6.3): where a request has one, nginx stops compressing its answer.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

from connectors.dial.guard import is_public
from connectors.http.message import Headers, RequestHead
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, Refusal, RefusedError
from proxy.decision import Forward
from proxy.settings import Installation

FIELD = b"cdn-loop"
# Hops through Connectors, of whatever installation: real chains have two or three. It also ends loops between processes
# that do not know each other, and those in which what lies between gives each turn another Connector.
MAX_HOPS = 8
_NAME = b"connectors-"
# Anywhere in a value: what a client sends need not follow the grammar, and what lies between may join lines.
_MARK = re.compile(rb"(?<![0-9A-Za-z_-])connectors-[0-9a-f]{32}(?![0-9A-Za-z_-])")


class Loops:
    """Knows the marks of one installation's Connectors, and its own Services by their names."""

    def __init__(self, installation: Installation, identity: str) -> None:
        """`identity`: what all processes of the installation have in common, and no other installation has."""
        self._services = installation.services
        self.identify(identity)

    def identify(self, identity: str) -> None:
        """Go on under another identity: a cluster's is known once its API server has answered."""
        self._key = blake2b(identity.encode()).digest()

    def mark(self, connector: ConnectorKey) -> bytes:
        """The pseudonym of a Connector (RFC 8586 section 2: a token).

        A keyed hash: tools and what lies between must not learn the names of namespaces and Connectors.
        """
        return _NAME + blake2b(str(connector).encode(), digest_size=16, key=self._key).hexdigest().encode()

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
        hops = [hop for value in head.values(FIELD) for hop in _MARK.findall(value)]
        if mark in hops:
            message = f"the request has passed Connector {connector} before; point its address at the tool itself"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))
        if len(hops) >= MAX_HOPS:
            message = f"the request has passed {len(hops)} Connectors, and more than {MAX_HOPS} would be a loop"
            raise RefusedError(Refusal(Reason.LOOP_DETECTED, message))
        return forward if _leads_away(address.server_name) else forward.marked(mark)


def fields(mark: bytes) -> Headers:
    """The field line that leaves a mark: a line of its own, so that garbage in another one cannot hide it."""
    return ((b"CDN-Loop", mark),) if mark else ()


# An address is judged once; a name can resolve to anything, and to something else tomorrow.
@lru_cache(maxsize=4096)
def _leads_away(host: str) -> bool:
    return is_public(host)
