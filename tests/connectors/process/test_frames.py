from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from connectors.process.frames import MAX_FRAME, FrameError, Frames


@pytest.fixture
async def ends() -> AsyncIterator[tuple[Frames, socket.socket]]:
    """One end that speaks frames, the other one plain."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    frames = await Frames.over(ours)
    with theirs:
        yield frames, theirs
    await frames.abort()


async def test_frames_come_as_they_were_sent(ends: tuple[Frames, socket.socket]) -> None:
    frames, plain = ends
    other = await Frames.over(plain.dup())
    payloads = [b"", b"x", bytes(300_000), b"\r\n"]
    for kind, payload in enumerate(payloads):
        frames.send(kind, payload)
    assert [await other.receive() for _ in payloads] == list(enumerate(payloads))
    await frames.close()
    assert await other.receive() is None
    await other.abort()


@pytest.mark.parametrize("cut", [1, 4, 5, 7])
async def test_a_frame_that_breaks_off(ends: tuple[Frames, socket.socket], cut: int) -> None:
    frames, plain = ends
    plain.send((struct.pack(">IB", 3, 1) + b"abc")[:cut])
    plain.shutdown(socket.SHUT_WR)
    with pytest.raises(FrameError, match="breaks off"):
        await frames.receive()


async def test_garbage_does_not_make_the_reader_wait_for_gigabytes(ends: tuple[Frames, socket.socket]) -> None:
    frames, plain = ends
    plain.send(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(FrameError, match="too large"):
        await frames.receive()


async def test_a_frame_above_the_limit_is_not_sent(ends: tuple[Frames, socket.socket]) -> None:
    with pytest.raises(ValueError, match="too large"):
        ends[0].send(1, bytes(MAX_FRAME + 1))


async def test_a_reader_that_does_not_read_keeps_the_sender_waiting(ends: tuple[Frames, socket.socket]) -> None:
    frames, plain = ends
    frames.send(1, bytes(4_000_000))
    draining = asyncio.create_task(frames.drained())
    assert not (await asyncio.wait({draining}, timeout=0.05))[0]
    left = 4_000_005
    while left:
        left -= len(await asyncio.get_running_loop().sock_recv(plain, 1 << 20))
    await asyncio.wait_for(draining, 5)


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_to_an_end_that_is_gone_nothing_is_sent(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        frames = await Frames.over(ours)
        theirs.close()
        await frames.abort()
        frames.send(1, b"abc")
        with pytest.raises(OSError, match="lost"):
            await frames.drained()
        await frames.abort()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_what_is_closed_may_be_aborted(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        frames, other = await Frames.over(ours), await Frames.over(theirs)
        frames.send(1, bytes(4_000_000))
        closing = asyncio.create_task(frames.close())
        assert await other.receive() == (1, bytes(4_000_000))
        await closing
        await frames.abort()
        await other.abort()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())
