"""Bodies in passing: each reader takes what arrived and gives what to pass on, without holding or copying it."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from connectors.model.message import Headers
from proxy.http1.errors import MessageError
from proxy.http1.framing import BodyKind, Framing
from proxy.http1.head import HEAD_END, parse_trailers, write_fields

TrailerFilter = Callable[[Headers], Headers]

MAX_CHUNK_LINE = 256
"""Bytes of a chunk-size line. 16 digits and a few extensions; longer ones have only been seen in attacks."""
MAX_TRAILERS = 16 * 1024
"""Bytes of a trailer section: checksums and gRPC status stand there, not documents."""

MAX_CHUNKS = 512
"""Chunks read in one turn, about a millisecond's work: others wait meanwhile, and a chunk can be one byte long."""

_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


class BodyReader(Protocol):
    """Knows where a body ends."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` to pass on, and the rest: what lies behind the body's end where it is `done`.

        Where it is not, the rest is the body's own, and to be fed again in a later turn: this much is enough for one.

        Raises:
            MessageError: the framing is broken.
        """
        ...


class NoBody:
    """A message without a body: everything behind its head belongs to the next message."""

    __slots__ = ()
    done = True

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        return b"", data


class LengthBody:
    """A body of a known length (Content-Length)."""

    __slots__ = ("_remaining", "done")

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.done = length == 0

    @property
    def left(self) -> int:
        """Bytes that have not come yet."""
        return self._remaining

    def skip(self, count: int) -> None:
        """So many bytes of it, at most those that are left, have passed without being fed."""
        self._remaining -= count
        self.done = self._remaining == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        size = len(data)
        if size <= self._remaining:
            self._remaining -= size
            self.done = self._remaining == 0
            return data, b""
        end, self._remaining, self.done = self._remaining, 0, True
        return data[:end], data[end:]


class UntilCloseBody:
    """A response body that ends with the connection (RFC 9112 section 6.3, rule 8)."""

    __slots__ = ()
    done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        return data, b""


class _State(Enum):
    SIZE = 1
    DATA = 2
    DATA_END = 3
    TRAILERS = 4


class ChunkedBody:
    """A chunked body (RFC 9112 section 7.1), its framing checked byte for byte and passed on as it came.

    Chunk extensions are dropped: they are between two neighbours, and have been used to smuggle requests.
    Trailers pass through `trailers`. With `decode`, only the data is passed on, for an HTTP/1.0 client.
    """

    __slots__ = ("_decode", "_left", "_pending", "_remaining", "_state", "_trailers", "done")

    def __init__(self, trailers: TrailerFilter, *, decode: bool = False) -> None:
        self._trailers = trailers
        self._decode = decode
        self._state = _State.SIZE
        self._remaining = 0
        self._left = MAX_CHUNKS
        self._pending = b""
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """See BodyReader."""
        buffer = self._pending + data if self._pending else data
        self._pending = b""
        out: list[bytes] = []
        position, size = 0, len(buffer)
        self._left = MAX_CHUNKS
        while position < size and not self.done and self._left:
            if self._state is _State.DATA:
                end = min(size, position + self._remaining)
                out.append(buffer[position:end])
                self._remaining -= end - position
                self._state = _State.DATA if self._remaining else _State.DATA_END
            else:
                end = self._line(buffer, position, out)
                if end < 0:
                    self._pending = buffer[position:]
                    return b"".join(out), b""
            position = end
        return b"".join(out), buffer[position:]

    def _line(self, buffer: bytes, position: int, out: list[bytes]) -> int:
        """Read the line or trailer section at `position`; where it ends, or -1 where it is not complete yet."""
        if self._state is _State.SIZE:
            return self._size(buffer, position, out)
        if self._state is _State.TRAILERS:
            return self._trailer_section(buffer, position, out)
        if len(buffer) - position < len(b"\r\n"):
            return -1
        if not buffer.startswith(b"\r\n", position):
            raise MessageError("a chunk is longer than its size says")
        self._emit(out, b"\r\n")
        self._state = _State.SIZE
        return position + 2

    def _size(self, buffer: bytes, position: int, out: list[bytes]) -> int:
        end = buffer.find(b"\n", position, position + MAX_CHUNK_LINE)
        if end < 0:
            if len(buffer) - position >= MAX_CHUNK_LINE:
                raise MessageError(f"a chunk-size line is longer than {MAX_CHUNK_LINE} bytes")
            return -1
        line = _CHUNK_LINE.fullmatch(buffer, position, end - 1)
        if line is None or buffer[end - 1] != ord("\r"):
            raise MessageError("a chunk-size line is malformed")
        self._left -= 1
        self._remaining = int(line[1], 16)
        if self._remaining:
            self._emit(out, line[1] + b"\r\n")
            self._state = _State.DATA
        else:
            self._state = _State.TRAILERS
            self._emit(out, b"0\r\n")
        return end + 1

    def _trailer_section(self, buffer: bytes, position: int, out: list[bytes]) -> int:
        if buffer.startswith(b"\r\n", position):
            end = position + 2
            fields: Headers = ()
        else:
            end = buffer.find(HEAD_END, position, position + MAX_TRAILERS) + len(HEAD_END)
            if end < len(HEAD_END):
                if len(buffer) - position >= MAX_TRAILERS:
                    raise MessageError(f"the trailer section is longer than {MAX_TRAILERS} bytes")
                return -1
            fields = self._trailers(parse_trailers(buffer[position:end]))
        self._emit(out, write_fields(fields) + b"\r\n")
        self.done = True
        return end

    def _emit(self, out: list[bytes], framing: bytes) -> None:
        if not self._decode:
            out.append(framing)


def is_one_chunk(body: bytes) -> bool:
    """Whether this is a whole chunked body of one chunk, without extension and trailers: it passes as it is."""
    line = _CHUNK_LINE.match(body)
    if line is None or line[2] is not None or not body.startswith(b"\r\n", line.end()):
        return False
    size = int(line[1], 16)
    end = line.end() + 2 + size
    return size > 0 and len(body) == end + len(_LAST_CHUNK) and body.endswith(_LAST_CHUNK)


_LAST_CHUNK = b"\r\n0\r\n\r\n"
"""The end of a chunk, and a last chunk without trailers."""


def body_reader(framing: Framing, trailers: TrailerFilter, *, decode: bool = False) -> BodyReader:
    """The reader for a framing; `decode` takes the chunked coding off."""
    match framing.kind:
        case BodyKind.NONE:
            return NoBody()
        case BodyKind.LENGTH:
            return LengthBody(framing.length)
        case BodyKind.CHUNKED:
            return ChunkedBody(trailers, decode=decode)
        case BodyKind.CLOSE:
            return UntilCloseBody()
