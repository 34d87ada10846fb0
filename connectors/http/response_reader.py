"""One answer to a request of our own, from its bytes as they come. As strict as what traffic is read with."""

from __future__ import annotations

from connectors.http.body import BodyReader, EmptyBody, body_reader
from connectors.http.framing import BodyKind, response_framing
from connectors.http.head import HEAD_END, has_bare_lf_or_nul, parse_response
from connectors.http.message import MessageError, ResponseHead
from connectors.http.response import Response
from connectors.objects.reasons import Reason

# Bytes of a head, as many as the proxy takes: a Content-Security-Policy and Kerberos tickets have room.
MAX_HEAD = 64 * 1024
# Header fields of a head, as many as the proxy takes.
MAX_FIELDS = 128
# Interim answers (RFC 9110 section 15.2), which are dropped: a tool that takes long may send several a second.
MAX_INTERIM = 128
# Bytes of a body that are read. A check looks at a status page of some KiB. It is asked in one piece, and the tool
# chooses the body: 1 MiB of brackets took 0.4 s, 3.5 s under a regular expression, and no request was served meanwhile.
MAX_BODY = 64 * 1024

_BEGIN = b"HTTP/"
_SWITCHING_PROTOCOLS = 101


class ResponseReader:
    """Reads up to the final answer's end, or to one byte more than MAX_BODY. How the bytes are cut changes nothing."""

    def __init__(self, method: bytes, *, read_body: bool) -> None:
        """`method` is the request's: HEAD is answered without a body. Without `read_body` the head alone is read."""
        self._method = method
        self._read_body = read_body
        self._ahead = bytearray()
        self._interim = 0
        self._head: ResponseHead | None = None
        self._reader: BodyReader = EmptyBody()
        self._ends_with_connection = False
        self._body = bytearray()

    @property
    def begun(self) -> bool:
        """Whether a byte of the final answer, or of an interim one that is not whole, has come."""
        return self._head is not None or bool(self._ahead)

    def feed(self, data: bytes) -> Response | None:
        """The answer; None if more of it is to come. What lies behind it is dropped.

        Raises:
            MessageError: it is not HTTP/1.1, or larger than it may be.
        """
        if self._head is None:
            data = self._heads(data)
        if self._head is None:
            return None
        if not self._read_body:
            return _response(self._head, b"", complete=False)
        position = 0
        while position < len(data) and not self._reader.done and len(self._body) <= MAX_BODY:
            # No more than may be kept: a body that is too long is cut off before what is wrong behind it is seen.
            piece = data[position : position + MAX_BODY + 1 - len(self._body)]
            content, rest = self._reader.feed(piece)
            self._body += content
            position += len(piece) - len(rest)
        if len(self._body) > MAX_BODY:
            return _response(self._head, bytes(self._body[:MAX_BODY]), complete=False)
        return _response(self._head, bytes(self._body), complete=True) if self._reader.done else None

    def end(self) -> Response:
        """The answer, once the connection has ended and `feed` has not returned one.

        Raises:
            MessageError: it breaks off.
        """
        if self._head is None or not self._ends_with_connection:
            raise MessageError("the answer breaks off", Reason.UPSTREAM_PROTOCOL)
        return _response(self._head, bytes(self._body), complete=True)

    def _heads(self, data: bytes) -> bytes:
        """Take heads off until the final one was read. Returns what of the body lies behind it."""
        # What was looked at is not looked at again: a head that comes byte by byte would cost its length squared.
        scanned = max(0, len(self._ahead) - len(HEAD_END) + 1)
        self._ahead += data
        while (end := self._head_end(scanned)) and self._head is None:
            head = parse_response(bytes(self._ahead[:end]), header_count=MAX_FIELDS)
            del self._ahead[:end]
            scanned = 0
            if head.status >= 200 or head.status == _SWITCHING_PROTOCOLS:
                self._begin(head)
                return bytes(self._ahead)
            self._interim += 1
            if self._interim > MAX_INTERIM:
                raise MessageError(f"there are more than {MAX_INTERIM} interim answers", Reason.UPSTREAM_PROTOCOL)
        return b""

    def _head_end(self, scanned: int) -> int:
        """Where the first head ends; 0 if its end has not come yet.

        Raises:
            MessageError: it cannot become one. Said at once, since an SSH server sends a line and waits.
        """
        ahead = self._ahead
        end = ahead.find(HEAD_END, scanned, MAX_HEAD)
        too_long = end < 0 and len(ahead) >= MAX_HEAD
        behind = len(ahead) if end < 0 else end
        if too_long or not _BEGIN.startswith(ahead[: len(_BEGIN)]) or has_bare_lf_or_nul(ahead, scanned, behind):
            raise MessageError(f"there is no HTTP/1.1 head of {MAX_HEAD} bytes at most", Reason.UPSTREAM_PROTOCOL)
        return end + len(HEAD_END) if end >= 0 else 0

    def _begin(self, head: ResponseHead) -> None:
        framing = response_framing(head, self._method)
        self._head = head
        self._reader = body_reader(framing, lambda _: (), decode=True)
        self._ends_with_connection = framing.kind is BodyKind.CLOSE


def _response(head: ResponseHead, body: bytes, *, complete: bool) -> Response:
    # A check cannot ask for what is not UTF-8.
    fields = tuple((name.decode(errors="replace"), value.decode(errors="replace")) for name, value in head.headers)
    return Response(head.status, fields, body, complete)
