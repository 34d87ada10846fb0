"""A tool that answers each request by a function and keeps the bytes of each, in the order of their ends."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tests.peers.raw_stream import SECONDS, PeerTimeoutError, RawStream
from tests.peers.raw_upstream import RawUpstream

LONG = 600.0
"""Seconds for which a kept connection may idle in a test."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in pieces, each sent when the one before has left. `close` ends the connection behind it."""

    pieces: tuple[bytes, ...]
    close: bool = False


Answer = Callable[[bytes], "bytes | Reply"]
"""Takes a request's bytes, its body included."""


class AnsweringTool:
    """Use as `async with AnsweringTool(answer) as tool:`. `answer` may be changed at any time.

    It takes requests apart with an eye of its own: what comes behind one is the next one, whatever it looks like.
    `answering` is how many answers are on their way.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.answering = 0
        self._upstream = RawUpstream(self._serve)
        self._came = asyncio.Event()

    async def __aenter__(self) -> AnsweringTool:
        await self._upstream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._upstream.__aexit__(kind, error, trace)

    @property
    def address(self) -> str:
        """For spec.address."""
        return self._upstream.address

    @property
    def authority(self) -> bytes:
        """Host and port, as they stand in Host."""
        return self.address.partition("://")[2].encode()

    @property
    def connections(self) -> list[RawStream]:
        """All that were accepted, in order."""
        return self._upstream.connections

    @property
    def unfinished(self) -> tuple[RawStream, ...]:
        """The connections on which something came that is no whole request."""
        return tuple(connection for connection in self.connections if connection.unread)

    async def has_seen(self, count: int) -> None:
        """Return once so many requests have come."""
        async with asyncio.timeout(SECONDS):
            while len(self.requests) < count:
                await self._came.wait()

    async def _serve(self, stream: RawStream) -> None:
        try:
            while True:
                await self._one(stream)
        except PeerTimeoutError:
            return

    async def _one(self, stream: RawStream) -> None:
        head = await stream.read_head(LONG)
        request = head + await read_body(stream, head)
        self.requests.append(request)
        self._came.set()
        self._came = asyncio.Event()
        reply = self.answer(request)
        self.answering += 1
        try:
            await send(stream, reply if isinstance(reply, Reply) else Reply((reply,)))
        finally:
            self.answering -= 1


async def read_body(stream: RawStream, head: bytes) -> bytes:
    """Consume the body that `head` announces, as it is on the wire."""
    if _CHUNKED.search(head):
        return await read_chunks(stream)
    length = _LENGTH.search(head)
    return await stream.read_exactly(int(length[1]), LONG) if length else b""


async def read_chunks(stream: RawStream) -> bytes:
    """Consume a chunked body with its trailers."""
    body = b""
    while True:
        line = await stream.read_until(b"\r\n", LONG)
        body += line
        size = int(line.partition(b";")[0], 16)
        if not size:
            break
        body += await stream.read_exactly(size + 2, LONG)
    while not body.endswith(b"\r\n\r\n"):
        body += await stream.read_until(b"\r\n", LONG)
    return body


async def send(stream: RawStream, reply: Reply) -> None:
    """Send the pieces one after the other; the reader, on the same loop, gets a turn in between."""
    for number, piece in enumerate(reply.pieces):
        if number:
            await turns()
        if stream.lost:
            return
        stream.send(piece)
    if reply.close:
        stream.close()


async def turns(count: int = 3) -> None:
    """Let the loop turn so often: a read and what follows from it take one or two."""
    for _ in range(count):
        await asyncio.sleep(0)
