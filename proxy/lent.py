"""One buffer for large bodies, lent to one read at a time: they pass through it, and nothing keeps a byte of it.

A body in objects of its own costs more to hold than to move: the allocator takes each large one from the kernel, which
clears it, page by page. Here it is read to where the last one was, and written from there.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Final, cast

from proxy.http1.body import MAX_TRAILERS

MOST: Final = 512 * 1024
"""Bytes of a read while the other side takes everything."""
LEAST: Final = 16 * 1024
"""Bytes of a read behind one of which the other side has left something: that is held in memory, beside the buffer."""
MAX_PIECES: Final = 64
"""Pieces that are written at once without being joined; the kernel takes 1,024 (IOV_MAX)."""


class Lender:
    """The buffer of a proxy. `AHEAD` bytes before what is read are free, for the begin of a line."""

    AHEAD: Final = MAX_TRAILERS

    def __init__(self) -> None:
        self.buffer: Final = bytearray(self.AHEAD + MOST)
        self._view: Final = memoryview(self.buffer)

    def lend(self, size: int) -> memoryview:
        """So much of it, to be read into, at most MOST."""
        return self._view[self.AHEAD : self.AHEAD + size]

    @cached_property
    def sealed(self) -> Lender:
        """Another buffer, for what is read and is still to be decrypted into this one (proxy/secured.py)."""
        return Lender()


class Reading(asyncio.BufferedProtocol):
    """A connection's protocol while a large body comes over it. Whatever else happens to it goes to its own one.

    `take` is told how many bytes stand in the buffer of `lender`, and gives back whether the other side took them all.
    It must keep no view of them.
    """

    def __init__(self, lender: Lender, own: asyncio.Protocol, take: Callable[[int], bool]) -> None:
        self.lender = lender
        self.take = take
        self._own = own
        self._size = LEAST

    def get_buffer(self, sizehint: int) -> memoryview:
        """For one read. The loop reads and tells of it before anything else happens, or reads nothing."""
        return self.lender.lend(self._size)

    def buffer_updated(self, nbytes: int) -> None:
        """Pass it on, now: grow while that works, shrink when it does not."""
        if not self.take(nbytes):
            self._size = LEAST
        elif nbytes == self._size:
            self._size = min(2 * self._size, MOST)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._own.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._own.resume_writing()

    def eof_received(self) -> bool | None:
        """See asyncio.Protocol."""
        return self._own.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
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
