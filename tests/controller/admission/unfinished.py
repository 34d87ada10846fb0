"""Clients that never finish their question."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web


class Unfinished:
    """Connections that declare a body, send a part of it, and no more."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = 0
        self._port = int(url.rpartition(":")[2].strip("/"))
        self._open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        read = web.BaseRequest.read

        async def counted(request: web.BaseRequest) -> bytes:
            self.read += 1
            return await read(request)

        monkeypatch.setattr(web.BaseRequest, "read", counted)

    async def send(self, count: int, length: int, turns: int) -> None:
        """Begin that many; returns when as many as there are turns are being read."""
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode() + b"x" * 100)
            self._open.append((reader, writer))
        async with asyncio.timeout(5):
            while self.read < turns:  # noqa: ASYNC110 - only asking tells
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # for the others to cross loopback

    async def told(self) -> list[int]:
        """The codes that they are answered with."""
        lines = [await reader.readline() for reader, _ in self._open]
        for _, writer in self._open:
            writer.transport.abort()
        return [int(line.split()[1]) for line in lines]
