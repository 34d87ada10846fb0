"""Many connections of one client at once; and a few that ask again and again."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attacks.attack import Scene

AT_ONCE = 64
ROOM = 4096
"""Bytes that the kernel of a member that reads nothing takes for it."""
PROXY = "127.0.0.1"
STATUS = slice(9, 12)


class Member(asyncio.Protocol):
    """A connection that forgets what it reads."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def data_received(self, data: bytes) -> None:
        """The proxy says something; what begins like an answer counts as one."""
        if data.startswith(b"HTTP/1.1 "):
            self._crowd.statuses[data[STATUS].decode("ascii", "replace")] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """One less."""
        self._crowd.lost += 1


class Crowd:
    """Connections of 127.0.0.1 to the proxy, and what became of them."""

    def __init__(self, scene: Scene, *, reading: bool = False) -> None:
        self.transports: list[asyncio.Transport] = []
        self.statuses: Counter[str] = Counter()
        self.lost = 0
        self._scene = scene
        self._reading = reading

    async def open(self, count: int, sent: bytes) -> None:
        """So many more, each of which sends this at once, as long as the scene lasts."""
        turns = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._one(turns, sent) for _ in range(count)))

    def send(self, data: bytes) -> None:
        """On each connection that there is still."""
        for transport in self.transports:
            if not transport.is_closing():
                transport.write(data)

    def close(self) -> None:
        """End all at once."""
        for transport in self.transports:
            transport.abort()

    async def _one(self, turns: asyncio.Semaphore, sent: bytes) -> None:
        loop = asyncio.get_running_loop()
        async with turns:
            with suppress(OSError):
                own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
                own.setblocking(False)
                if not self._reading:
                    # What does not fit here stays with the proxy.
                    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
                await loop.sock_connect(own, (PROXY, self._scene.port))
                transport, _ = await loop.create_connection(lambda: Member(self), sock=own)
                self.transports.append(transport)
                # Not in connection_made: uvloop begins to read behind it.
                if not self._reading:
                    transport.pause_reading()
                transport.write(sent)


@asynccontextmanager
async def crowd(scene: Scene, count: int, sent: bytes, *, reading: bool = False) -> AsyncIterator[Crowd]:
    """So many connections, which end with the block; the block begins when all are there."""
    made = Crowd(scene, reading=reading)
    try:
        await made.open(count, sent)
        yield made
    finally:
        made.close()


async def stay(end: float) -> None:
    """Sleep until `end`, in the loop's time; not at all if that has been."""
    await asyncio.sleep(max(0.0, end - asyncio.get_running_loop().time()))


async def ask(scene: Scene, request: bytes, seconds: float = 10.0) -> bytes:
    """All that comes back on a connection of its own, until it ends or the time is over; the request closes it."""
    got = b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(PROXY, scene.port)
            try:
                writer.write(request)
                while piece := await reader.read(256 * 1024):
                    got = (got + piece)[:65536]
            finally:
                writer.transport.abort()
    return got


async def hammer(scene: Scene, request: bytes, clients: int) -> Counter[str]:
    """So many clients ask this again and again, each on a new connection, while the scene lasts; statuses."""
    end, statuses = scene.end, Counter[str]()

    async def one() -> None:
        while (left := end - asyncio.get_running_loop().time()) > 0:
            got = await ask(scene, request, left)
            # What the end of the scene has cut off counts for nothing.
            if got or asyncio.get_running_loop().time() < end:
                statuses[got[STATUS].decode("ascii", "replace")] += 1

    await asyncio.gather(*(one() for _ in range(clients)))
    return statuses


def told(statuses: Counter[str]) -> str:
    """`1,200 x 200, 3 x 502`."""
    return ", ".join(f"{count:,} x {status or 'cut off'}" for status, count in sorted(statuses.items()))
