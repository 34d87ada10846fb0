"""The tool's response head -> the client's: hop-by-hop fields gone, the tool's own addresses mapped to the proxy's."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from connectors.credentials.credential import fold
from connectors.http.fields import NEVER_TRAILERS
from connectors.model.message import Headers, ResponseHead
from proxy.challenges import without_bearer
from proxy.cookies import rewrite_cookie
from proxy.decision import Forward
from proxy.hop_by_hop import not_forwarded
from proxy.locations import rewrite_location
from proxy.reflected import ADDRESS_FIELDS, without_credential

_REASON_HEADER = b"x-connectors-reason"
CHANGED = ADDRESS_FIELDS | {b"set-cookie", b"www-authenticate", _REASON_HEADER}
"""Folded names of the fields whose values are looked at; all others pass as they are, or end here."""
_LINK_TARGET = re.compile(rb"<([^<>]*)>")


@dataclass(frozen=True, slots=True)
class ClientSide:
    """How the client reached the proxy: the URL scheme it used."""

    scheme: str = "http"


def client_head(head: ResponseHead, forward: Forward, side: ClientSide) -> ResponseHead:
    """Every field in its order; only the declared ones are changed (docs/transparency.md)."""
    headers = []
    dropped = not_forwarded(head)
    for name, value in head.headers:
        folded = fold(name)
        if folded in dropped:
            continue
        changed = field_for_client(folded, value, forward, side) if folded in CHANGED else value
        if changed is not None:
            headers.append((name, changed))
    return ResponseHead(head.status, head.reason, tuple(headers), head.version)


def response_trailers(trailers: Headers) -> Headers:
    """The trailers that may follow a response's body."""
    return tuple(field for field in trailers if fold(field[0]) not in NEVER_TRAILERS | {_REASON_HEADER})


def field_for_client(name: bytes, value: bytes, forward: Forward, side: ClientSide) -> bytes | None:
    """The field's value for the client; None where the field is not passed on."""
    if forward.target.query is not None:
        shown = without_credential(name, value, forward.target.query)
        if shown is None:
            return None
        value = shown
    change = _CHANGES.get(name)
    return value if change is None else change(value, forward, side.scheme)


def _rewrite_links(value: bytes, forward: Forward, client_scheme: str) -> bytes:
    return _LINK_TARGET.sub(lambda link: b"<" + rewrite_location(link[1], forward, client_scheme) + b">", value)


_CHANGES: dict[bytes, Callable[[bytes, Forward, str], bytes | None]] = {
    b"location": rewrite_location,
    b"content-location": rewrite_location,
    b"link": _rewrite_links,
    b"set-cookie": rewrite_cookie,
    # The client would carry its own token to the realm that a Bearer challenge names (threat 5).
    b"www-authenticate": lambda value, _, __: without_bearer(value),
    # Only the proxy's own answers carry it; a tool cannot pass its answer off as a refusal.
    _REASON_HEADER: lambda _, __, ___: None,
}
