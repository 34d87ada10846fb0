"""One TCP connection without any parser: every byte received is kept, every byte sent is the test's own."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

SECONDS = 5.0
"""How long a wait may take by default: far above what loopback needs, so that only a real fault reaches it."""


MARK = re.compile(rb"\r\nCDN-Loop: (connectors-[0-9a-f]{32})(?=\r\n)")
MARK_LENGTH = 57


class PeerTimeoutError(AssertionError):
    """What a test waited for did not come; the message shows what came instead."""


class RawStream(asyncio.Protocol):
    """A connection that records. `read_*` consume what was received, in order; `received` keeps all of it."""

    def __init__(
        self, on_connected: Callable[[RawStream], None] | None = None, *, paused: bool = False, marked: bool = False
    ) -> None:
        """`marked`: lines by which the proxy marks a request against loops are kept apart, in `marks`.

        Each holds a hash of its own, and stands in every request to an address that is not public.
        """
        self.marks: deque[bytes] = deque(maxlen=16)
        self._marked = marked
        self._on_connected = on_connected
        self._paused = paused
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._cursor = 0
        self._waiting: list[asyncio.Future[None]] = []
        self._writable = True
        self.eof = False
        self.lost = False
        self.error: Exception | None = None

    # --- what the test asks

    @property
    def received(self) -> bytes:
        """Every byte so far, consumed or not."""
        return bytes(self._received)

    @property
    def unread(self) -> bytes:
        """What `read_*` have not consumed yet."""
        return bytes(self._received[self._cursor :])

    @property
    def consumed(self) -> int:
        """How many bytes of `received` `read_*` have consumed."""
        return self._cursor

    def received_from(self, start: int) -> bytes:
        """What was received behind the first `start` bytes."""
        return bytes(self._received[start:])

    @property
    def is_closed(self) -> bool:
        """Whether the other side has ended its direction, or the connection is gone."""
        return self.eof or self.lost

    @property
    def was_reset(self) -> bool:
        """Whether the other side ended it with RST."""
        return isinstance(self.error, ConnectionResetError)

    async def read_until(self, delimiter: bytes, seconds: float = SECONDS) -> bytes:
        """Consume up to and including `delimiter`."""
        await self._wait(lambda: self._received.find(delimiter, self._cursor) >= 0, f"{delimiter!r}", seconds)
        return self._take(self._received.index(delimiter, self._cursor) + len(delimiter) - self._cursor)

    async def read_head(self, seconds: float = SECONDS) -> bytes:
        """Consume one message head, its empty line included."""
        return await self.read_until(b"\r\n\r\n", seconds)

    async def read_exactly(self, count: int, seconds: float = SECONDS) -> bytes:
        """Consume `count` bytes."""
        await self._wait(lambda: len(self._received) - self._cursor >= count, f"{count} bytes", seconds)
        return self._take(count)

    async def read_to_eof(self, seconds: float = SECONDS) -> bytes:
        """Wait for the end and consume all that came before it."""
        await self.wait_closed(seconds)
        return self._take(len(self._received) - self._cursor)

    async def wait_closed(self, seconds: float = SECONDS) -> None:
        """Wait until the other side has closed, half-closed or reset."""
        await self._wait(lambda: self.is_closed, "the connection's end", seconds, past_eof=True)

    async def wait_lost(self, seconds: float = SECONDS) -> None:
        """Wait until the connection is gone in both directions."""
        await self._wait(lambda: self.lost, "the connection's loss", seconds, past_eof=True)

    def forget(self) -> None:
        """Let go of what was consumed: `received` begins again with what is unread."""
        del self._received[: self._cursor]
        self._cursor = 0

    # --- what the test does

    @property
    def transport(self) -> asyncio.Transport:
        """The connection underneath."""
        assert self._transport is not None, "not connected"
        return self._transport

    def send(self, data: bytes) -> None:
        """Send; what the kernel does not take at once waits in memory."""
        self.transport.write(data)

    async def send_all(self, data: bytes, seconds: float = SECONDS) -> None:
        """Send, and wait until the buffer is below its mark again: how back-pressure is felt."""
        self.transport.write(data)
        await self._wait(lambda: self._writable or self.lost, "room to send", seconds, past_eof=True)

    def half_close(self) -> None:
        """End the own direction (FIN) and keep reading."""
        self.transport.write_eof()

    def close(self) -> None:
        """Close both directions, after what was sent has gone out."""
        self.transport.close()

    def reset(self) -> None:
        """Drop the connection with RST (SO_LINGER 0)."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def pause_reading(self) -> None:
        """Take nothing from the kernel any more, so that the other side meets a full window."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self.transport.resume_reading()

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        if self._paused:
            self._transport.pause_reading()
        if self._on_connected:
            self._on_connected(self)

    def data_received(self, data: bytes) -> None:
        start = max(self._cursor, len(self._received) - MARK_LENGTH)
        self._received += data
        if self._marked and self._received.find(b"\r\nCDN-Loop: connectors-", start) >= 0:
            self.marks += [bytes(mark) for mark in MARK.findall(self._received, start)]
            self._received[start:] = MARK.sub(b"", self._received[start:])
        self._notify()

    def eof_received(self) -> bool:
        self.eof = True
        self._notify()
        return self.transport.get_extra_info("sslcontext") is None  # TLS knows no half-closed connection

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.error = exc
        self._notify()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._notify()

    def _notify(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _take(self, count: int) -> bytes:
        with memoryview(self._received) as received:
            taken = bytes(received[self._cursor : self._cursor + count])  # a slice of it alone would be copied twice
        self._cursor += count
        return taken

    async def _wait(self, ready: Callable[[], bool], what: str, seconds: float, *, past_eof: bool = False) -> None:
        if ready():
            return
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                while not ready():
                    if self.lost or (self.eof and not past_eof):
                        raise PeerTimeoutError(f"the connection ended ({self.error}) before {what}; {self._shown()}")
                    self._waiting.append(loop.create_future())
                    await self._waiting[-1]
        except TimeoutError:
            raise PeerTimeoutError(f"no {what} within {seconds:g} s; {self._shown()}") from None

    def _shown(self) -> str:
        unread = self.unread
        return f"unread: {unread[:2000]!r}" + (f" and {len(unread) - 2000} bytes more" if len(unread) > 2000 else "")
