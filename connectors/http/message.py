"""HTTP message heads as values (RFC 9110 section 6): raw bytes, in order, case and repetition kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct, field

from connectors.objects.reasons import Reason, Refusal, RefusedError

Headers = tuple[tuple[bytes, bytes], ...]
_Index = dict[bytes, list[bytes]]

# Path and query: visible ASCII without `#` (RFC 9112 section 3.2.1). A space would end it, a CR begin a new line.
TARGET = re.compile(rb"/[!\"$-~]*")

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"upgrade",
    }
)
# Fields that a Connection field cannot take away: they are what makes the message readable.
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"host"})
# Fields that mean nothing, or something dangerous, behind a body (RFC 9110 section 6.5.1).
NEVER_TRAILERS = (
    HOP_BY_HOP
    | FRAMING
    | frozenset({b"authorization", b"location", b"set-cookie", b"trailer", b"www-authenticate", b"x-openapi-address"})
)


class Version(Enum):
    """The HTTP versions spoken on both sides (RFC 9112 section 2.3)."""

    HTTP_1_0 = b"HTTP/1.0"
    HTTP_1_1 = b"HTTP/1.1"


class _Head:
    """What both heads can do. Not a Struct: fields of its own would come before the method or the status."""

    __slots__ = ()
    headers: Headers
    _index: _Index

    def values(self, name: bytes) -> Sequence[bytes]:
        """All values of the field `name` (given in lower case), in order (RFC 9110 section 5.2)."""
        index = self._index or _fill(self._index, self.headers)
        return index.get(name, ())

    def _on_the_wire(self) -> tuple[object, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Head):
            return NotImplemented
        return self._on_the_wire() == other._on_the_wire()

    __hash__ = None  # type: ignore[assignment]


class RequestHead(_Head, Struct, frozen=True, eq=False):
    """Method, request-target and header fields of one request. Its repr shows no value: it may hold a credential."""

    method: bytes
    target: bytes
    headers: Headers
    version: Version = Version.HTTP_1_1
    _index: _Index = field(default_factory=dict)

    def _on_the_wire(self) -> tuple[object, ...]:
        return self.method, self.target, self.headers, self.version

    def __repr__(self) -> str:
        names = [name.decode("latin-1") for name, _ in self.headers]
        return f"RequestHead({self.method.decode('latin-1')}, headers={names})"


class ResponseHead(_Head, Struct, frozen=True, eq=False):
    """Status line and header fields of one response. Its repr shows no value: a tool may echo a credential."""

    status: int
    reason: bytes
    headers: Headers
    version: Version = Version.HTTP_1_1
    _index: _Index = field(default_factory=dict)

    def _on_the_wire(self) -> tuple[object, ...]:
        return self.status, self.reason, self.headers, self.version

    def __repr__(self) -> str:
        names = [name.decode("latin-1") for name, _ in self.headers]
        return f"ResponseHead({self.status}, headers={names})"


def _fill(index: _Index, headers: Headers) -> _Index:
    """Fill the index on first use: a head is asked for a dozen fields, most of which it does not have."""
    for name, value in headers:
        index.setdefault(name.lower(), []).append(value)
    return index


class MessageError(RefusedError):
    """A message that is not acceptable HTTP/1.1. Its sentence is for a person and never quotes the peer's bytes."""

    def __init__(self, message: str, reason: Reason = Reason.REQUEST_MALFORMED) -> None:
        super().__init__(Refusal(reason, message))
        self.args = (message,)
