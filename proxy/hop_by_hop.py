"""Which fields belong to one connection and never travel further (RFC 9110 section 7.6.1)."""

from __future__ import annotations

from connectors.credentials.credential import fold
from connectors.http.fields import FRAMING, HOP_BY_HOP
from connectors.model.message import RequestHead, ResponseHead, Version
from proxy.http1.head import connection_tokens, tokens


def not_forwarded(head: RequestHead | ResponseHead) -> frozenset[bytes]:
    """The folded names of this message's fields that end here: hop-by-hop ones and what Connection nominates."""
    nominated = connection_tokens(head)
    if not nominated - HOP_BY_HOP:
        return HOP_BY_HOP
    return HOP_BY_HOP | {fold(name) for name in nominated} - FRAMING


def wants_websocket(head: RequestHead) -> bool:
    """Whether the client asks to switch to WebSocket (RFC 6455 section 4.1); no other protocol is ever offered.

    In particular not h2c, behind which requests would pass unseen (threat 20).
    """
    return (
        head.method == b"GET"
        and head.version is Version.HTTP_1_1
        and [value.lower() for value in head.values(b"upgrade")] == [b"websocket"]
        and b"upgrade" in connection_tokens(head)
    )


def accepts_trailers(head: RequestHead) -> bool:
    """Whether the client said `TE: trailers` (RFC 9110 section 10.1.4); a tool may send none without it."""
    return any(b"trailers" in tokens(value) for value in head.values(b"te"))
