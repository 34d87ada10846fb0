"""Messages between two processes over a stream socket: length, kind, payload. No domain words."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

# Bytes of one payload. The largest that is sent is one object with its surroundings, far below. A length above this is
# garbage, and must not make the reader wait for gigabytes.
MAX_FRAME = 64 * 1024 * 1024

_HEAD = struct.Struct(">IB")


class FrameError(Exception):
    """What came is not a frame, or only a part of one. The message quotes nothing of it: it may hold secrets."""


class Frames:
    """One end of a connected stream socket, on the running event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed = False

    @classmethod
    async def over(cls, end: socket.socket) -> Frames:
        """The end of an AF_UNIX socket pair, which this object closes."""
        return cls(*await asyncio.open_unix_connection(sock=end))

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Queue one frame; `drained` waits until there is room again. Sends nothing if the other end is gone.

        Raises:
            ValueError: the payload is larger than MAX_FRAME.
        """
        if len(payload) > MAX_FRAME:
            raise ValueError("a frame is too large")
        if self._writer.is_closing():
            # `receive` and `drained` raise then. Here uvloop would raise RuntimeError, and asyncio nothing.
            return
        self._writer.write(_HEAD.pack(len(payload), kind) + payload)

    async def drained(self) -> None:
        """Wait until what was sent is with the kernel, but for a rest of some kilobytes.

        Raises:
            OSError: the other end is gone.
        """
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes] | None:
        """The next frame's kind and payload; None once the other end is closed behind a whole frame.

        Raises:
            FrameError: a frame breaks off, or is too large.
            OSError: the connection broke.
        """
        try:
            head = await self._reader.readexactly(_HEAD.size)
            length, kind = _HEAD.unpack(head)
            if length > MAX_FRAME:
                raise FrameError("a frame is too large")
            return kind, await self._reader.readexactly(length) if length else b""
        except asyncio.IncompleteReadError as error:
            if not error.partial and error.expected == _HEAD.size:
                return None
            raise FrameError("a frame breaks off") from None

    async def close(self) -> None:
        """Close this end, once the other one has taken what was sent.

        Raises:
            OSError: the other end is gone.
        """
        self._writer.close()
        await self._writer.wait_closed()
        self._closed = True

    async def abort(self) -> None:
        """Close this end at once: what the other end has not read is dropped."""
        if self._closed:
            # asyncio's own transport fails if it is aborted when it has sent the rest and closed (CPython 3.11).
            return
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()
