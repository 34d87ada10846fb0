"""The request as the tool gets it: strip everything of the caller's that is not the tool's, then inject, LAST.

The order is the point (threat 3): a field that the caller's Connection nominates is gone before the credential is
there, so nothing the caller sends can take the credential away, double it or send it elsewhere.
"""

from __future__ import annotations

from connectors.credentials.credential import fold, revealed, without_query
from connectors.http.head import connection_tokens, tokens
from connectors.http.message import FRAMING, HOP_BY_HOP, NEVER_TRAILERS, Headers, RequestHead, ResponseHead, Version
from proxy import loops
from proxy.callers.guises import guises_of
from proxy.decision import Forward
from proxy.references import LOOKED_AT, field_for_tool, require_once


def not_forwarded(head: RequestHead | ResponseHead) -> frozenset[bytes]:
    """The folded names of this message's fields that end here: hop-by-hop ones and what Connection nominates.

    They belong to one connection (RFC 9110 section 7.6.1).
    """
    nominated = connection_tokens(head)
    if not nominated - HOP_BY_HOP:
        return HOP_BY_HOP
    # `Connection: Content-Length` must not take the framing away: the tool would find another end (threat 11). Nor the
    # marks of earlier hops: they must not be removed (RFC 8586 section 2; threat 34).
    return HOP_BY_HOP | {fold(name) for name in nominated} - FRAMING - {loops.FIELD}


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


def outgoing(head: RequestHead, forward: Forward) -> RequestHead:
    """The head to send to `forward.target`: the caller's fields in their order, the tool's Host, the credential.

    Raises:
        RefusedError: what must be made for this very request cannot be (see Target.mint).
    """
    made = stripped(head, forward)
    return forward.target.mint(made) if forward.target.mint else made


def stripped(head: RequestHead, forward: Forward) -> RequestHead:
    """The same without what must be made for this very request.

    Raises:
        MessageError: a field asks for what lies outside of the Connector's address (proxy/references.py).
    """
    target = forward.target
    ends_here = not_forwarded(head)
    dropped = target.dropped if ends_here is HOP_BY_HOP else target.dropped | ends_here
    require_once(head)
    kept = []
    for field in head.headers:
        name = fold(field[0])
        if name in dropped:
            continue
        if name in LOOKED_AT:
            value = field_for_tool(name, field[1], forward)
            if value is None:
                continue
            field = (field[0], value)  # noqa: PLW2901 - the field as the tool gets it
        kept.append(field)
    headers = _without_token(tuple(kept), forward)
    headers = _with_host(headers, target.address.authority) + _own_hop(head) + loops.fields(forward.mark)
    headers += revealed(forward.plan.credential)
    request_target = forward.request_target
    if target.query:
        request_target = without_query(request_target, target.query.owned)
    return RequestHead(head.method, request_target, headers)


def request_trailers(forward: Forward, trailers: Headers) -> Headers:
    """The trailers that may follow a request's body: none that could stand for a field stripped from the head."""
    dropped = forward.target.dropped | NEVER_TRAILERS | LOOKED_AT
    return _without_token(tuple(field for field in trailers if fold(field[0]) not in dropped), forward)


def _without_token(headers: Headers, forward: Forward) -> Headers:
    """Without the fields that hold the caller's token, however dressed: it may stand in one more than it was found in.

    Not what frames the message, whatever it holds: the tool would find another end of the body (threat 11). Nor for a
    text so short that it may stand somewhere by chance.
    """
    guises = guises_of(forward.spent)
    if guises is None:
        return headers
    return tuple(field for field in headers if field[0].lower() in FRAMING or not guises.in_text(field[1]))


def _with_host(headers: Headers, authority: bytes) -> Headers:
    """Host in its place with the tool's own value; first where HTTP/1.0 sent none (RFC 9112 section 3.2)."""
    for position, (name, _) in enumerate(headers):
        if name.lower() == b"host":
            return (*headers[:position], (name, authority), *headers[position + 1 :])
    return ((b"Host", authority), *headers)


def _own_hop(head: RequestHead) -> Headers:
    """This hop's own connection fields, and only where the client asked for the same of the proxy."""
    if wants_websocket(head):
        return ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
    if accepts_trailers(head):
        return ((b"Connection", b"TE"), (b"TE", b"trailers"))
    return ()
