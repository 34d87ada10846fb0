"""Back-pressure: the proxy reads no more than the other side takes, so that memory stays flat."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.peers.dialogue import OK, get, message, seen
from tests.peers.raw_stream import RawStream
from tests.proxy.transcripts.conftest import Talk

BLOCK = b"x" * 65_536
TOTAL = 3_000
"""Blocks: about 200 MB, more than the kernel and the proxy together may hold."""


def largest(buffer: str) -> int:
    """Bytes that the kernel gives to a socket's buffer at most (tcp(7)); where it does not say, Linux's default."""
    limits = Path(f"/proc/sys/net/ipv4/{buffer}")
    return int(limits.read_text(encoding="ascii").split()[2]) if limits.exists() else 6_000_000


BOUND = 2 * (largest("tcp_rmem") + largest("tcp_wmem")) + 1_000_000
"""Bytes that may be on their way: four socket buffers, and the proxy's own few hundred KiB."""


assert TOTAL * len(BLOCK) > BOUND, "or no bound would be seen"


async def pushed(stream: RawStream) -> int:
    """Push until nothing moves any more; the bytes that have left."""
    sent, moved = 0, True
    while moved and sent < TOTAL * len(BLOCK):
        moved = False
        for _ in range(50):
            while stream.transport.get_write_buffer_size() == 0:
                stream.send(BLOCK)
                sent += len(BLOCK)
                moved = True
                await asyncio.sleep(0)
            await asyncio.sleep(0.002)
    return sent


async def test_slow_client_stops_the_tool(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client.pause_reading()
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % (TOTAL * len(BLOCK))))
    sent = await pushed(line.tool)
    assert 0 < sent < BOUND
    line.client.resume_reading()
    head = await line.client.read_head()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert await line.client.read_exactly(sent, 30) == b"x" * sent


async def test_slow_tool_stops_the_client(talk: Talk) -> None:
    line = await talk()
    length = b"Content-Length: %d" % (TOTAL * len(BLOCK))
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", length))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", length))
    line.tool.pause_reading()
    sent = await pushed(line.client)
    assert 0 < sent < BOUND
    line.tool.resume_reading()
    assert await line.tool.read_exactly(sent, 30) == b"x" * sent


async def test_client_that_sends_ahead_is_not_read_without_end(talk: Talk) -> None:
    """Pipelined requests behind one that takes its time."""
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    sent = await pushed(line.client)
    assert 0 < sent < BOUND / 2
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.client_is_refused(b"414", b"URITooLong")
