"""What a JSON Web Token says of itself. Nothing here is verified: it only narrows what the API server has confirmed."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from connectors.json_depth import too_deep


class Claims(NamedTuple):
    """For whom the token was made, and when it ends (seconds since the epoch; None: it does not say)."""

    audiences: frozenset[str] = frozenset()
    ends: float | None = None


class _End(Struct, frozen=True):
    exp: float | None = None


class _For(Struct, frozen=True):
    aud: str | tuple[str, ...] = ()


T = TypeVar("T", bound=Struct)


def claims_of(token: bytes) -> Claims:
    """`aud` and `exp` (RFC 7519 sections 4.1.3 and 4.1.4); empty for a token that is not a JSON Web Token.

    Read apart, so that an odd one hides nothing of the other.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        return Claims()
    try:
        payload = urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
    except ValueError:
        return Claims()
    if too_deep(payload):
        # The payload is anybody's: some thousand brackets would end a decoder's recursion.
        return Claims()
    audiences = _read(payload, _For()).aud
    return Claims(frozenset((audiences,) if isinstance(audiences, str) else audiences), _read(payload, _End()).exp)


def _read(payload: bytes, otherwise: T) -> T:
    try:
        return msgspec.json.decode(payload, type=type(otherwise))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return otherwise
