"""The tokens of a request: in Authorization, and in the headers that classes declare for them. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import NamedTuple

from connectors.http.message import RequestHead

AUTHORIZATION = b"authorization"
MAX_TOKEN = 16 * 1024
"""Bytes. A token with many audiences has 2 KiB; a longer text is none, and nobody is asked about it."""
MAX_CANDIDATES = 3
"""Tokens of one request that are looked at: Authorization's, and those of two declared headers. Each may cost a
question to the API server, and no client has more than one token to show."""


class Presented(NamedTuple):
    """A token, and the field it stood in, in lower case. It has no readable repr: it is a caller's password."""

    token: bytes
    header: bytes

    def __repr__(self) -> str:
        return f"Presented({self.header!r})"


def presented_tokens(head: RequestHead, declared: frozenset[bytes]) -> tuple[Presented, ...]:
    """What may be the caller's token, Authorization's first. `declared`: names of further fields, in lower case.

    A field that stands there twice, or cannot be read, holds none: unknown means deny.
    """
    found = []
    token = _authorization(head)
    if token is not None:
        found.append(Presented(token, AUTHORIZATION))
    for name in dict.fromkeys(name.lower() for name, _ in head.headers):
        if name in declared and (value := _single(head, name)):
            found.append(Presented(value, name))
    return tuple(item for item in found if _is_token(item.token))[:MAX_CANDIDATES]


def _single(head: RequestHead, name: bytes) -> bytes | None:
    values = head.values(name)
    return values[0].strip() if len(values) == 1 else None


def _authorization(head: RequestHead) -> bytes | None:
    """Bearer (RFC 6750 section 2.1), or Basic (RFC 7617) with the token as password, or as user name without one."""
    scheme, _, rest = (_single(head, AUTHORIZATION) or b"").partition(b" ")
    match scheme.lower():
        case b"bearer":
            return rest.strip() or None
        case b"basic":
            return _basic(rest.strip())
        case _:
            return None


def _basic(encoded: bytes) -> bytes | None:
    try:
        username, colon, password = b64decode(encoded, validate=True).partition(b":")
    except binascii.Error:
        return None
    return (password or username or None) if colon else None


def _is_token(text: bytes) -> bool:
    """What no header can hold is no token: the API server would be asked about a text that nobody was given."""
    return 0 < len(text) <= MAX_TOKEN and text.isascii() and text.decode("ascii").isprintable()
