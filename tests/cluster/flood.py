"""Clients of many addresses, each of which sends requests with tokens as fast as it gets answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ADDRESSES = tuple(f"127.0.0.{number}" for number in range(2, 14))
"""Twelve, of the loopback network: Linux takes each of them as this machine's own."""
CONNECTIONS = 2
"""Of each address: with more, the test's own process would be what is slow."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where requests go: the proxy's URL, and the Connector's host."""

    url: str
    host: str


@dataclass
class Answers:
    """How often each status came."""

    statuses: Counter[int] = field(default_factory=Counter)

    async def at_least(self, count: int) -> None:
        """Wait until so many answers have come."""
        async with asyncio.timeout(60):
            while self.statuses.total() < count:  # noqa: ASYNC110 - each client counts for itself
                await asyncio.sleep(0.01)

    async def until(self, status: int) -> None:
        """Wait until one of these has come."""
        async with asyncio.timeout(60):
            while not self.statuses[status]:  # noqa: ASYNC110 - each client counts for itself
                await asyncio.sleep(0.01)


async def ask(place: Place, address: str, token: str) -> tuple[int, bytes]:
    """The status and head of the answer to one request, over a connection of its own."""
    reader, writer = await _connect(place, address)
    try:
        return await _asked(reader, writer, place, token)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def flood(
    place: Place, tokens: Callable[[], str], addresses: Sequence[str] = ADDRESSES
) -> AsyncIterator[Answers]:
    """Each address sends requests with what `tokens` returns, another one each time, until the block ends."""
    answers = Answers()

    async def client(address: str) -> None:
        reader, writer = await _connect(place, address)
        try:
            while True:
                status, _ = await _asked(reader, writer, place, tokens())
                answers.statuses[status] += 1
        finally:
            writer.transport.abort()

    clients = [asyncio.create_task(client(address)) for address in addresses for _ in range(CONNECTIONS)]
    try:
        yield answers
    finally:
        for task in clients:
            task.cancel()
        ended = await asyncio.gather(*clients, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended


async def _connect(place: Place, address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    url = urlsplit(place.url)
    return await asyncio.open_connection(url.hostname, url.port, local_addr=(address, 0))


async def _asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place, token: str
) -> tuple[int, bytes]:
    writer.write(f"GET /x HTTP/1.1\r\nHost: {place.host}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1]), head
