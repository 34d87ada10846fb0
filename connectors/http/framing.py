"""How long a message body is (RFC 9112 section 6.3), as a value."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from connectors.http.message import MessageError, RequestHead, ResponseHead, Version
from connectors.objects.reasons import Reason

# A Content-Length of 19 digits can pass 2**63 - 1; no body is that long, and peers disagree on what it means.
MAX_LENGTH_DIGITS = 18
_ZERO = ord("0")


# Final statuses whose answers have no body, whatever their fields say (RFC 9112 section 6.3).
BODYLESS = (204, 304)


class BodyKind(Enum):
    """The four ways a body can end."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


class Framing(NamedTuple):
    """A body's kind, and its length in bytes where that is known."""

    kind: BodyKind
    length: int = 0


NO_BODY = Framing(BodyKind.NONE)
CHUNKED = Framing(BodyKind.CHUNKED)
_EMPTY = Framing(BodyKind.LENGTH, 0)
UNTIL_CLOSE = Framing(BodyKind.CLOSE)


def request_framing(head: RequestHead) -> Framing:
    """The framing of a request body.

    Raises:
        MessageError: two framings, or one that servers read differently: request smuggling uses both
            (threat 11). A transfer coding other than `chunked` alone is refused, as nginx does.
    """
    framing = _declared(head)
    return framing if framing and framing != _EMPTY else NO_BODY


def response_framing(head: ResponseHead, request_method: bytes) -> Framing:
    """The framing of a response body, which also depends on the request's method.

    Raises:
        MessageError: as for requests, with reason UpstreamProtocol.
    """
    return framing_of_response(declared_framing(head), head.status, request_method)


def declared_framing(head: ResponseHead) -> Framing | None:
    """What a response's fields say of its body; None if they say nothing.

    Raises:
        MessageError: as for requests, with reason UpstreamProtocol.
    """
    try:
        return _declared(head)
    except MessageError as error:
        raise MessageError(error.refusal.message, Reason.UPSTREAM_PROTOCOL) from None


def framing_of_response(declared: Framing | None, status: int, request_method: bytes) -> Framing:
    """What `declared` comes to: HEAD and some statuses have no body, whatever the fields say."""
    if request_method == b"HEAD" or status in BODYLESS or status < 200:
        return NO_BODY
    return declared or UNTIL_CLOSE


def _declared(head: RequestHead | ResponseHead) -> Framing | None:
    codings = head.values(b"transfer-encoding")
    lengths = head.values(b"content-length")
    if not codings and not lengths:
        return None
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise MessageError("Transfer-Encoding must be chunked alone, without Content-Length")
        if head.version is Version.HTTP_1_0:
            raise MessageError("Transfer-Encoding has no meaning in HTTP/1.0")
        return CHUNKED
    if len(lengths) > 1 or (length := plain_length(lengths[0])) is None:
        raise MessageError("Content-Length must be one decimal number, without zeros before it")
    return Framing(BodyKind.LENGTH, length)


def plain_length(value: bytes) -> int | None:
    """The number of a Content-Length field; None where not every peer reads the same one (threat 11).

    A zero before other digits is read as octal by those who use C's strtol with base 0: `010` is ten, or eight.
    """
    if not value.isdigit() or len(value) > MAX_LENGTH_DIGITS or (value[0] == _ZERO and len(value) > 1):
        return None
    return int(value)
