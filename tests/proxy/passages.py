"""Builders of passages: requests as bytes, judged the long way as proxy/exchange.py does."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from connectors.http.head import ParsedRequest, parse_request
from connectors.http.message import Version
from connectors.http.plain import Plain, plain_head
from connectors.snapshot import Snapshot
from proxy.decision import Facts, Forward
from proxy.request import Passage, may_be_used_again
from proxy.response import KnownLines
from proxy.route import decide, find
from proxy.upstream import IdlePool
from tests.proxy.decisions import ANYBODY, HOSTS, OWN_HOST

LINE = b"GET /x HTTP/1.1"
_LINES, _pool = KnownLines(0), cache(IdlePool)
"""What all requests to one Connector share."""


class Judged(NamedTuple):
    """A request that was let through. `plain` is None where its head is not plain."""

    request: ParsedRequest
    plain: Plain | None
    forward: Forward
    passage: Passage

    @property
    def again(self) -> bool:
        """Whether the passage may be used again."""
        return self.plain is not None and may_be_used_again(self.passage, self.request, self.plain, self.forward)


def head_of(*fields: bytes, line: bytes = LINE, host: bytes = OWN_HOST) -> bytes:
    """A request head as it comes; `fields` are lines without CRLF."""
    return b"\r\n".join([line, b"Host: " + host, *fields, b"", b""])


def plain_of(raw: bytes) -> Plain:
    """The parts of a head that must be plain."""
    plain = plain_head(raw)
    assert plain is not None
    return plain


def judged(raw: bytes, snapshot: Snapshot, facts: Facts = ANYBODY) -> Judged:
    """The request, and what is decided on it; it must not be refused."""
    request = parse_request(raw, header_count=128)
    route = find(request.head, snapshot, HOSTS)
    forward = decide(request.head, route, snapshot, facts)
    passage = Passage(request, forward, facts, _pool(forward.target.pool), _LINES)
    plain = plain_head(raw) if request.head.version is Version.HTTP_1_1 else None
    return Judged(request, plain, forward, passage)
