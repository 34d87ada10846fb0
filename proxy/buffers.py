"""Bytes on their way to being heads: what has arrived, looked at once, cut off where a head ends."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, cast

from connectors.http.body import MAX_TRAILERS
from connectors.http.head import (
    HEAD_END,
    ParsedRequest,
    has_bare_lf_or_nul,
    parse_request,
    parse_response,
    require_completable,
)
from connectors.http.message import MessageError, ResponseHead
from connectors.objects.reasons import Reason
from proxy.settings import Limits

# How a record of TLS that begins a handshake begins (RFC 8446 section 5.1).
TLS_HANDSHAKE = b"\x16\x03"

# 1xx responses before a final one. A 102 every few seconds lasts for minutes with that; a flood of them ends.
MAX_INTERIM = 100

SPEAKS_PLAIN = "a client speaks TLS, and this port plain HTTP: use http://, or serve TLS with --tls-cert and --tls-key"

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class HeadBuffer:
    """Keeps what has arrived, and where the part that was not taken yet begins; so only what is taken is copied."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._data = b""
        self._start = 0
        self._scanned = 0

    def __len__(self) -> int:
        return len(self._data) - self._start

    def add(self, data: bytes) -> None:
        """More has arrived."""
        self._data = self._data[self._start :] + data if self._start < len(self._data) else data
        self._scanned -= self._start
        self._start = 0

    def take_all(self) -> bytes:
        """Everything that was not taken yet."""
        rest = self._data[self._start :]
        self._data, self._start, self._scanned = b"", 0, 0
        return rest

    def _take_head(self) -> bytes:
        """The bytes up to and with the next empty line; nothing where it has not come or the head is too long."""
        end = self._data.find(HEAD_END, max(self._start, self._scanned - len(HEAD_END)))
        if end < 0 or end - self._start > self._limits.head_bytes:
            return b""
        start, self._start = self._start, end + len(HEAD_END)
        self._scanned = self._start
        return self._data[start : self._start]

    def _unfinished(self) -> bytes:
        return self._data[self._start :] if self._start else self._data


class RequestBuffer(HeadBuffer):
    """What a client has sent and no exchange has taken: heads, and bodies that wait for their upstream."""

    def next_request(self) -> ParsedRequest | None:
        """The next request head, if it is complete.

        Raises:
            MessageError: it is not acceptable, or can no longer become so.
        """
        if self._data.startswith(b"\r", self._start) and (empty := _EMPTY_LINES.match(self._data, self._start)):
            # RFC 9112 section 2.2: at least one empty line before a request line is to be ignored.
            self._start = empty.end()
            self._scanned = max(self._scanned, self._start)
        raw = self._take_head()
        if not raw:
            if self._data.startswith(TLS_HANDSHAKE, self._start):
                raise MessageError(SPEAKS_PLAIN)
            unfinished, limits = self._unfinished(), self._limits
            scanned = max(0, self._scanned - self._start)
            require_completable(
                unfinished, target_bytes=limits.target_bytes, head_bytes=limits.head_bytes, scanned=scanned
            )
            self._scanned = len(self._data)
            return None
        request = parse_request(raw, header_count=self._limits.header_count)
        if len(request.head.target) > self._limits.target_bytes:
            message = f"the request-target is longer than {self._limits.target_bytes} bytes"
            raise MessageError(message, Reason.URI_TOO_LONG)
        return request


class ResponseBuffer(HeadBuffer):
    """What a tool has sent before its final head was read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._interim = 0
        # The last head's first line, as it came, without its CRLF.
        self.status_line = b""

    def next_head(self) -> ResponseHead | None:
        """The next response head, interim or final, if it is complete.

        Raises:
            MessageError: with reason UpstreamProtocol.
        """
        raw = self._take_head()
        if not raw:
            self._require_completable()
            self._scanned = len(self._data)
            return None
        head = parse_response(raw, header_count=self._limits.header_count)
        self.status_line = raw[: raw.find(b"\r\n")]
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise MessageError(f"the tool sent more than {MAX_INTERIM} interim responses", Reason.UPSTREAM_PROTOCOL)
        return head

    def _require_completable(self) -> None:
        unfinished = self._unfinished()
        if not b"HTTP/".startswith(unfinished[:5]) or len(unfinished) > self._limits.head_bytes:
            raise MessageError("the tool's answer does not begin with an HTTP/1.1 head", Reason.UPSTREAM_PROTOCOL)
        if has_bare_lf_or_nul(unfinished, max(0, self._scanned - self._start)):
            raise MessageError("the tool's response head has a NUL or lines without CRLF", Reason.UPSTREAM_PROTOCOL)


# Bytes of one read of a connection: half of what one may hold, so that a read that nobody takes fits beside what the
# other side has not taken. The loop's own reads have up to 250 KiB.
PIECE: Final = 32 * 1024
# Bytes of one read at least, however much is held: near a limit, reads of a few bytes each would cost more than they
# bring.
LEAST_PIECE: Final = 4 * 1024

# Bytes that a connection may have unsent before its other side is held back. With 0, uvloop would write each message at
# once, and not those of a turn together at its end: an eighth more CPU for a small request.
UNSENT: Final = 16 * 1024


class Piece:
    """What connections are read into, lent to one read at a time: its protocol copies what has come."""

    def __init__(self) -> None:
        self.whole: Final = memoryview(bytearray(PIECE))

    def part(self, size: int) -> memoryview:
        """So much of it, within LEAST_PIECE and PIECE."""
        return self.whole[: max(LEAST_PIECE, size)]


# What a piece is wiped with behind each read: a token must not stay there until the next one, whenever that is.
ZEROS: Final = memoryview(bytes(PIECE))


class InPieces(asyncio.BufferedProtocol):
    """A connection's protocol that bounds each read, by what it holds; what was read comes to `data_received`."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Take a copy of what was read."""
        raise NotImplementedError


# Bytes of a read of a large body while the other side takes everything.
MOST: Final = 512 * 1024
# Bytes of a read behind one of which the other side has left something: that is held in memory, beside the buffer.
LEAST: Final = 16 * 1024
# Connections that may have more than a PIECE unsent at a time. The kernel is asked how much it takes before more than
# that is read; where its memory for TCP is short, it takes less than it has said, and the rest is held: 8 MiB in all.
MOST_BEHIND: Final = 16
# Pieces that are written at once without being joined; the kernel takes 1,024 (IOV_MAX).
MAX_PIECES: Final = 64


# One buffer for large bodies, lent to one read at a time: they pass through it, and nothing keeps a byte of it.
#
# A body in objects of its own costs more to hold than to move: the allocator takes each large one from the kernel,
# which clears it, page by page. Here it is read to where the last one was, and written from there.
class Lender:
    """The buffer of a proxy. `AHEAD` bytes before what is read are free, for the begin of a line."""

    AHEAD: Final = MAX_TRAILERS

    def __init__(self) -> None:
        self.buffer: Final = bytearray(self.AHEAD + MOST)
        self._view: Final = memoryview(self.buffer)
        # The sides that have not taken more than a PIECE of what was read into it.
        self._behind: list[asyncio.Transport] = []

    def lend(self, size: int) -> memoryview:
        """So much of it, to be read into, at most MOST."""
        return self._view[self.AHEAD : self.AHEAD + size]

    @property
    def lends_all(self) -> bool:
        """Whether more than a PIECE may be read at once: not while many sides have not taken what was read for them."""
        if self._behind:
            self._behind[:] = [sink for sink in self._behind if sink.get_write_buffer_size() > PIECE]
        return len(self._behind) < MOST_BEHIND

    def left(self, sink: asyncio.Transport) -> None:
        """It has not taken all that was written to it."""
        if sink.get_write_buffer_size() > PIECE and sink not in self._behind:
            self._behind.append(sink)

    @cached_property
    def sealed(self) -> Lender:
        """Another buffer, for what is read and is still to be decrypted into this one (proxy/secured.py)."""
        other = Lender()
        other._behind = self._behind  # what is read into it is written from this one
        return other


class Reading(asyncio.BufferedProtocol):
    """A connection's protocol while a large body comes over it. Whatever else happens to it goes to its own one.

    `take` is told how many bytes stand in the buffer of `lender`, and gives back whether the other side took them all.
    It must keep no view of them. `room` tells how many bytes the other side's kernel would take now. No more than that
    and a PIECE is read: the PIECE is what fills it up, so that the next read is one for all that it will have sent
    then, and not one for each packet.
    """

    def __init__(
        self,
        lender: Lender,
        own: asyncio.BaseProtocol,
        take: Callable[[int], bool],
        room: Callable[[], int] = lambda: MOST,
    ) -> None:
        self.lender = lender
        self.take = take
        self.room = room
        # Which of the two kinds it is makes no difference for what is passed on to it.
        self._own = cast("asyncio.Protocol", own)
        self._size = self._lent = LEAST
        self._room = 0

    def get_buffer(self, sizehint: int) -> memoryview:
        """For one read. The loop reads and tells of it before anything else happens, or reads nothing."""
        size = self._size
        if size > PIECE:  # what is left of less may be held
            # Asked once for several reads: meanwhile the room only grows, by what the other side takes.
            if self._room < size:
                self._room = self.room()
            size = min(size, PIECE + self._room) if self.lender.lends_all else PIECE
        self._lent = size
        return self.lender.lend(size)

    def buffer_updated(self, nbytes: int) -> None:
        """Pass it on, now: grow while that works, shrink when it does not."""
        if not self.take(nbytes):
            self._size, self._room = LEAST, 0
            return
        self._room = max(0, self._room - nbytes)
        if nbytes == self._lent:
            self._size = min(2 * self._size, MOST)

    def pause_writing(self) -> None:
        self._own.pause_writing()

    def resume_writing(self) -> None:
        self._own.resume_writing()

    def eof_received(self) -> bool | None:
        return self._own.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._own.connection_lost(exc)


def exchange_protocol(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    """Let `protocol` have what comes from now on. uvloop looks at the kind of a protocol when reading begins."""
    reading = transport.is_reading() and not transport.is_closing()
    if reading:
        transport.pause_reading()
    transport.set_protocol(protocol)
    if reading:
        transport.resume_reading()


def write_now(transport: asyncio.Transport, pieces: Sequence[memoryview | bytes]) -> bool:
    """Write pieces of a lent buffer; whether all is sent. What is not is copied: the transport may keep that."""
    if transport.get_extra_info("ssl_object") is not None:
        for piece in pieces:
            transport.write(piece)  # encrypts it at once (proxy/secured.py)
        return not transport.get_write_buffer_size()
    sent = 0 if transport.get_write_buffer_size() or transport.is_closing() else _sent(transport, pieces)
    rest = _behind(pieces, sent)
    if rest:
        transport.write(rest)
    return not rest


def _sent(transport: asyncio.Transport, pieces: Sequence[memoryview | bytes]) -> int:
    """How much the kernel takes. An error is the transport's to find: it will be told what has not gone."""
    descriptor = cast("int", transport.get_extra_info("socket").fileno())
    try:
        if len(pieces) == 1:
            return os.write(descriptor, pieces[0])
        return os.writev(descriptor, pieces if len(pieces) <= MAX_PIECES else [b"".join(pieces)])
    except OSError:
        return 0


def _behind(pieces: Sequence[memoryview | bytes], sent: int) -> bytes:
    """A copy of what has not gone."""
    left = []
    for piece in pieces:
        if sent < len(piece):
            left.append(piece[sent:])
        sent = max(0, sent - len(piece))
    return b"".join(left)
