"""What a JSON Web Token says of itself. Nothing here is verified: it only narrows what the API server has confirmed."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import NamedTuple

import msgspec
from msgspec import Struct


class Claims(NamedTuple):
    """For whom the token was made, and when it ends (seconds since the epoch; None: it does not say)."""

    audiences: frozenset[str] = frozenset()
    ends: float | None = None


class _Payload(Struct, frozen=True):
    aud: str | tuple[str, ...] = ()
    exp: float | None = None


def claims_of(token: bytes) -> Claims:
    """`aud` and `exp` (RFC 7519 sections 4.1.3 and 4.1.4); empty for a token that is not a JSON Web Token."""
    parts = token.split(b".")
    if len(parts) != 3:
        return Claims()
    try:
        payload = msgspec.json.decode(urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4)), type=_Payload)
    except (ValueError, msgspec.DecodeError):
        return Claims()
    audiences = (payload.aud,) if isinstance(payload.aud, str) else payload.aud
    return Claims(frozenset(audiences), payload.exp)
