"""The caller's token, however it is dressed: as it is, percent-encoded, in base64 once or twice, within more. Pure."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes

from proxy.callers.tokens import Presented

# Bytes of a token that stands nowhere by chance; a real one has hundreds.
UNMISTAKABLE = 16
# The URL-safe alphabet of base64 (RFC 4648 section 5) as the standard one.
_STANDARD = bytes.maketrans(b"-_", b"+/")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Looks at a text: as it is, and percent-decoded up to two times; a login in a cookie is encoded once or twice.
_MAX_ENCODINGS = 3


class Guises:
    """What of a token can be seen in a text. It shows nothing of it itself; it lives as long as one request."""

    __slots__ = ("_encoded", "_token", "_twice")

    def __init__(self, token: bytes) -> None:
        self._token = token
        # Made for the first text that is long enough: most requests have none.
        self._encoded: tuple[bytes, ...] = ()
        self._twice: frozenset[bytes] = frozenset()

    def __repr__(self) -> str:
        return "Guises(********)"

    def in_text(self, text: bytes) -> bool:
        """Whether the text holds the token."""
        if len(text) < len(self._token):
            return False  # every guise is at least as long
        self._encoded = self._encoded or _cores(self._token)
        for _ in range(_MAX_ENCODINGS):
            if self._token in text:
                return True
            standard = text.translate(_STANDARD)
            if any(core in standard for core in self._encoded) or self._is_twice_in(standard):
                return True
            if b"%" not in text:
                return False
            text = unquote_to_bytes(text)
        return False

    def _is_twice_in(self, standard: bytes) -> bool:
        """Whether the text holds base64 of base64, as of a Docker configuration, whose `auth` is a Basic login."""
        if 9 * len(standard) < 16 * len(self._token):
            return False  # base64 twice makes it longer by 16/9
        if not self._twice:
            # The inner one may be of either alphabet, which the outer one hides.
            inner = {form for core in self._encoded for form in (core, core.translate(_URL_SAFE))}
            self._twice = frozenset(core for form in inner for core in _cores(form))
        return any(core in standard for core in self._twice)


def _cores(token: bytes) -> tuple[bytes, ...]:
    return tuple(_core(token, before) for before in range(3))


def _core(token: bytes, before: int) -> bytes:
    """What base64 makes of the token alone, if `before` bytes stand before it (modulo 3), whatever stands behind it.

    As in Basic (RFC 7617), where a user name does. Characters that hold bits of a neighbour's are left out.
    """
    bits = 8 * (before + len(token))
    return b64encode(b"\0" * before + token)[-(-8 * before // 6) : bits // 6]


def guises_of(presented: Presented | None) -> Guises | None:
    """Those of the token that let the caller in; None where there is none, or it is so short that it may be chance."""
    if presented is None or len(presented.token) < UNMISTAKABLE:
        return None
    return Guises(presented.token)


def without_token(target: bytes, guises: Guises) -> bytes:
    """The request-target without the query parameters that hold the token; every other byte stays.

    Parameters end at `&`, for some tools at `;` too (see without_query). Where the token holds one of these itself, all
    of the query goes.
    """
    path, mark, query = target.partition(b"?")
    if not guises.in_text(query):
        return target
    left = b"&".join(kept for pair in query.split(b"&") if (kept := _without_parts(pair, guises)) is not None)
    return path + mark + left if left and not guises.in_text(left) else path


def _without_parts(pair: bytes, guises: Guises) -> bytes | None:
    if not guises.in_text(pair):
        return pair
    return b";".join(part for part in pair.split(b";") if not guises.in_text(part)) or None
