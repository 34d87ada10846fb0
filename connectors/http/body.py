"""Bodies in passing: each reader takes what arrived and gives what to pass on, without holding or copying it."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeVar

from connectors.http.framing import BodyKind, Framing
from connectors.http.head import HEAD_END, parse_trailers, write_fields
from connectors.http.message import Headers, MessageError

TrailerFilter = Callable[[Headers], Headers]
_Buffer = bytes | bytearray
_Source = TypeVar("_Source", bytes, memoryview)

# Bytes of a chunk-size line. 16 digits and a few extensions; longer ones have only been seen in attacks.
MAX_CHUNK_LINE = 256
# Bytes of a trailer section: checksums and gRPC status stand there, not documents.
MAX_TRAILERS = 16 * 1024

# Chunks read in one turn, about a millisecond's work: others wait meanwhile, and a chunk can be one byte long.
MAX_CHUNKS = 512

# A chunk-size line as nearly all are: it passes as it is.
_PLAIN_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


class BodyReader(Protocol):
    """Knows where a body ends."""

    done: bool

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` to pass on, and the rest. If the body is `done`, the rest lies behind its end.

        If it is not, the rest belongs to the body and is to be fed again in a later turn: one turn has done enough.

        Raises:
            MessageError: the framing is broken.
        """
        ...

    @property
    def pending(self) -> bytes:
        """What was fed and cannot be read yet: the beginning of a line, at most MAX_TRAILERS bytes."""
        ...

    def take(self, buffer: bytearray, start: int, end: int) -> tuple[list[memoryview | bytes], int]:
        """As `feed`, of bytes that stay where they are: the pieces to pass on, and where the rest begins.

        What is pending stands before the bytes that have come, from `start` on. Pieces are views of the buffer.

        Raises:
            MessageError: the framing is broken.
        """
        ...


class EmptyBody:
    """A message without a body: everything behind its head belongs to the next message."""

    __slots__ = ()
    done = True
    pending = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return b"", data

    def take(self, _: bytearray, start: int, __: int) -> tuple[list[memoryview | bytes], int]:
        return [], start


class LengthBody:
    """A body of a known length (Content-Length)."""

    __slots__ = ("_remaining", "done")
    pending = b""

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.done = length == 0

    @property
    def left(self) -> int:
        """Bytes that have not come yet."""
        return self._remaining

    def skip(self, count: int) -> None:
        """Count bytes that passed without being fed, at most as many as are left."""
        self._remaining -= count
        self.done = self._remaining == 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        size = len(data)
        if size <= self._remaining:
            self._remaining -= size
            self.done = self._remaining == 0
            return data, b""
        end, self._remaining, self.done = self._remaining, 0, True
        return data[:end], data[end:]

    def take(self, buffer: bytearray, start: int, end: int) -> tuple[list[memoryview | bytes], int]:
        end = min(end, start + self._remaining)
        self.skip(end - start)
        return [memoryview(buffer)[start:end]], end


class UntilCloseBody:
    """A response body that ends with the connection (RFC 9112 section 6.3, rule 8)."""

    __slots__ = ()
    done = False
    pending = b""

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        return data, b""

    def take(self, buffer: bytearray, start: int, end: int) -> tuple[list[memoryview | bytes], int]:
        return [memoryview(buffer)[start:end]], end


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

    __slots__ = ("_decode", "_left", "_remaining", "_state", "_trailers", "done", "pending")

    def __init__(self, trailers: TrailerFilter, *, decode: bool = False) -> None:
        self._trailers = trailers
        self._decode = decode
        self._state = _State.SIZE
        self._remaining = 0
        self._left = MAX_CHUNKS
        self.pending = b""
        self.done = False

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        buffer = self.pending + data if self.pending else data
        pieces, position = self._pieces(buffer, buffer, 0, len(buffer))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces), buffer[position:]

    def take(self, buffer: bytearray, start: int, end: int) -> tuple[list[memoryview | bytes], int]:
        return self._pieces(buffer, memoryview(buffer), start, end)

    def _pieces(self, buffer: _Buffer, source: _Source, position: int, size: int) -> tuple[list[_Source | bytes], int]:
        """What of `buffer`, up to `size`, passes: slices of `source`, as long as they can be, and what stands between.

        `source` is the buffer itself, or a view of it.
        """
        out: list[_Source | bytes] = []
        begin = position
        self._left, self.pending = MAX_CHUNKS, b""
        while position < size and not self.done and self._left:
            if self._state is _State.DATA:
                end = min(size, position + self._remaining)
                self._remaining -= end - position
                self._state = _State.DATA if self._remaining else _State.DATA_END
            else:
                end, instead = self._next(buffer, position, size)
                if end < 0:
                    self.pending = bytes(buffer[position:size])
                    break
                if instead is not None:
                    if begin < position:
                        out.append(source[begin:position])
                    if instead:
                        out.append(instead)
                    begin = end
            position = end
        if begin < position:
            out.append(source[begin:position])
        return out, size if self.pending else position

    def _next(self, buffer: _Buffer, position: int, size: int) -> tuple[int, bytes | None]:
        """Read whole chunks, a line or the trailer section at `position`; returns as `_line` does."""
        if self._state is _State.SIZE and (end := self._whole(buffer, position, size)):
            return end, _content(buffer, position, end) if self._decode else None
        end, instead = self._line(buffer, position, size)
        return end, b"" if self._decode else instead

    def _whole(self, buffer: _Buffer, position: int, size: int) -> int:
        """Where chunks end that have come as a whole, pass as they are and have one size, from that at `position` on.

        0 if it is another. A server that copies in a loop makes chunks of one size: each one after the first takes two
        comparisons.
        """
        line = _PLAIN_LINE.match(buffer, position, size)
        if line is None:
            return 0
        length = int(line[1], 16)
        end = line.end() + length + 2
        if not length or end > size or not buffer.startswith(b"\r\n", end - 2):
            return 0
        step, head, left = end - position, line[0], self._left - 1
        while (
            left and end + step <= size and buffer.startswith(head, end) and buffer.startswith(b"\r\n", end + step - 2)
        ):
            end += step
            left -= 1
        self._left = left
        return end

    def _line(self, buffer: _Buffer, position: int, size: int) -> tuple[int, bytes | None]:
        """Read the line or trailer section at `position`: where it ends, and what to pass on instead.

        The end is -1 if it is not complete yet; None: it passes as it is.
        """
        if self._state is _State.SIZE:
            return self._size(buffer, position, size)
        if self._state is _State.TRAILERS:
            return self._trailer_section(buffer, position, size)
        if size - position < len(b"\r\n"):
            return -1, None
        if not buffer.startswith(b"\r\n", position):
            raise MessageError("a chunk is longer than its size says")
        self._state = _State.SIZE
        return position + 2, None

    def _size(self, buffer: _Buffer, position: int, size: int) -> tuple[int, bytes | None]:
        end = buffer.find(b"\n", position, min(position + MAX_CHUNK_LINE, size))
        if end < 0:
            if size - position >= MAX_CHUNK_LINE:
                raise MessageError(f"a chunk-size line is longer than {MAX_CHUNK_LINE} bytes")
            return -1, None
        line = _CHUNK_LINE.fullmatch(buffer, position, end - 1)
        if line is None or buffer[end - 1] != ord("\r"):
            raise MessageError("a chunk-size line is malformed")
        self._left -= 1
        self._remaining = int(line[1], 16)
        if not self._remaining:
            self._state = _State.TRAILERS
            return end + 1, None if end - position == len(b"0\r") else b"0\r\n"
        self._state = _State.DATA
        return end + 1, None if line[2] is None else line[1] + b"\r\n"

    def _trailer_section(self, buffer: _Buffer, position: int, size: int) -> tuple[int, bytes | None]:
        if buffer.startswith(b"\r\n", position, size):
            self.done = True
            return position + 2, None
        end = buffer.find(HEAD_END, position, min(position + MAX_TRAILERS, size)) + len(HEAD_END)
        if end < len(HEAD_END):
            if size - position >= MAX_TRAILERS:
                raise MessageError(f"the trailer section is longer than {MAX_TRAILERS} bytes")
            return -1, None
        fields = self._trailers(parse_trailers(bytes(buffer[position:end])))
        self.done = True
        return end, write_fields(fields) + b"\r\n"


def _content(buffer: _Buffer, position: int, end: int) -> bytes:
    """The data of chunks that are whole, plain and of one size (see ChunkedBody), from `position` to `end`."""
    line = _PLAIN_LINE.match(buffer, position)
    if line is None:
        return b""
    size, ahead = int(line[1], 16), line.end() - position
    step = ahead + size + len(b"\r\n")
    if size == 1:
        return bytes(buffer[position + ahead : end : step])
    return b"".join([buffer[begin : begin + size] for begin in range(position + ahead, end, step)])


def is_one_chunk(body: bytes) -> bool:
    """Whether this is a whole chunked body of one chunk, without extension and trailers: it passes as it is."""
    line = _PLAIN_LINE.match(body)
    if line is None:
        return False
    size = int(line[1], 16)
    return size > 0 and len(body) == line.end() + size + len(_LAST_CHUNK) and body.endswith(_LAST_CHUNK)


# The end of a chunk, and a last chunk without trailers.
_LAST_CHUNK = b"\r\n0\r\n\r\n"


def body_reader(framing: Framing, trailers: TrailerFilter, *, decode: bool = False) -> BodyReader:
    """The reader for a framing; `decode` takes the chunked coding off."""
    match framing.kind:
        case BodyKind.NONE:
            return EmptyBody()
        case BodyKind.LENGTH:
            return LengthBody(framing.length)
        case BodyKind.CHUNKED:
            return ChunkedBody(trailers, decode=decode)
        case BodyKind.CLOSE:
            return UntilCloseBody()
