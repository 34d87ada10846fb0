from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from proxy.splice import PIPE, Pipes, Splice, SpliceEnd, Tell
from tests.peers.descriptors import descriptors

BODY = os.urandom(3 * PIPE + 5)
BEHIND = b"HTTP/1.1 200 OK"
SECONDS = 10.0
LINGER_NOT = struct.pack("ii", 1, 0)


@dataclass
class Wires:
    """Two TCP connections: from the source to here, and from here to the sink."""

    source: socket.socket
    from_source: socket.socket
    to_sink: socket.socket
    sink: socket.socket
    pipes: Pipes = field(default_factory=Pipes)
    moved: int = 0

    def splice(self, left: int) -> tuple[Splice, asyncio.Future[SpliceEnd]]:
        over: asyncio.Future[SpliceEnd] = asyncio.get_running_loop().create_future()
        tell = Tell(self._moved, over.set_result)
        return Splice(self.pipes, self.from_source, self.to_sink, left, tell), over

    def _moved(self, count: int) -> None:
        self.moved += count

    async def sends(self, data: bytes) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.source, data), SECONDS)

    async def sink_gets(self, count: int) -> bytes:
        return await received(self.sink, count)


async def received(end: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer where the end comes before."""
    got = bytearray()
    async with asyncio.timeout(SECONDS):
        while len(got) < count and (some := await asyncio.get_running_loop().sock_recv(end, count - len(got))):
            got += some
    return bytes(got)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


def reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
    end.close()


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    for end in (caller, called):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with caller, called:
        yield caller, called


@pytest.fixture
async def wires() -> AsyncIterator[Wires]:
    """Whatever a test does with splices, none of their descriptors is left behind it."""
    with connected() as (source, from_source), connected() as (to_sink, sink):
        before = descriptors()
        made = Wires(source, from_source, to_sink, sink)
        yield made
        assert descriptors() <= before


async def test_r23_a_body_is_moved_and_not_a_byte_of_what_lies_behind(wires: Wires) -> None:
    _, over = wires.splice(len(BODY))
    sending = asyncio.ensure_future(wires.sends(BODY + BEHIND))
    assert await wires.sink_gets(len(BODY)) == BODY
    assert await over is SpliceEnd.DONE_AND_MORE
    assert wires.moved == len(BODY)
    await sending
    assert await received(wires.from_source, len(BEHIND)) == BEHIND
    wires.to_sink.close()
    assert await wires.sink_gets(1) == b""


async def test_r23_nothing_lies_behind_a_body(wires: Wires) -> None:
    _, over = wires.splice(len(BODY))
    sending = asyncio.ensure_future(wires.sends(BODY))
    assert await wires.sink_gets(len(BODY)) == BODY
    assert await over is SpliceEnd.DONE
    await sending


async def test_r24_a_sink_that_takes_nothing_stops_the_source(wires: Wires) -> None:
    splice, over = wires.splice(40 * len(BODY))
    sending = asyncio.ensure_future(wires.sends(40 * BODY))
    held = -1
    while held != wires.moved or not splice.blocked:
        held = wires.moved
        await asyncio.sleep(0.05)
    assert not sending.done()
    assert held < 20 * len(BODY)
    assert await wires.sink_gets(40 * len(BODY)) == 40 * BODY
    assert await over is SpliceEnd.DONE
    assert not splice.blocked
    await sending


async def test_r24_a_sink_that_takes_nothing_costs_nothing(wires: Wires) -> None:
    """What is full is waited for, not asked again and again; so is what has nothing to give."""
    splice, over = wires.splice(40 * len(BODY))
    sending = asyncio.ensure_future(wires.sends(40 * BODY))
    await until(lambda: splice.blocked)
    await asyncio.sleep(0.2)
    spent = time.process_time()
    await asyncio.sleep(0.5)
    assert time.process_time() - spent < 0.2
    splice.close()
    sending.cancel()
    assert not over.done()


async def test_r24_what_is_not_complete_is_not_said_to_be(wires: Wires) -> None:
    _, over = wires.splice(len(BODY))
    sending = asyncio.ensure_future(wires.sends(BODY[:-1]))
    assert await wires.sink_gets(len(BODY) - 1) == BODY[:-1]
    await sending
    wires.source.close()
    assert await asyncio.wait_for(over, SECONDS) is SpliceEnd.SOURCE_LOST
    assert wires.moved == len(BODY) - 1


async def test_r24_a_source_that_is_reset(wires: Wires) -> None:
    _, over = wires.splice(len(BODY))
    reset(wires.source)
    assert await asyncio.wait_for(over, SECONDS) is SpliceEnd.SOURCE_LOST


async def test_r24_a_sink_that_is_reset(wires: Wires) -> None:
    _, over = wires.splice(40 * len(BODY))
    sending = asyncio.ensure_future(wires.sends(40 * BODY))
    await wires.sink_gets(1000)
    reset(wires.sink)
    assert await asyncio.wait_for(over, SECONDS) is SpliceEnd.SINK_LOST
    sending.cancel()


async def test_urgent_data_does_not_make_it_turn_in_circles(wires: Wires) -> None:
    """splice(2) stops before it for ever, and epoll says that there is something to read."""
    _, over = wires.splice(100)
    await wires.sends(b"abc")
    assert await wires.sink_gets(3) == b"abc"
    wires.source.send(b"!", socket.MSG_OOB)
    await wires.sends(b"def")
    assert await asyncio.wait_for(over, SECONDS) is SpliceEnd.GIVEN_UP
    assert wires.moved == 3
    assert await received(wires.from_source, 3) == b"def"


async def test_r24_t13_a_pipe_with_a_rest_serves_no_other_body(wires: Wires) -> None:
    splice, _ = wires.splice(40 * len(BODY))
    sending = asyncio.ensure_future(wires.sends(40 * BODY))
    await until(lambda: splice.blocked)
    splice.close()
    splice.close()
    sending.cancel()
    with connected() as (source, from_source), connected() as (to_sink, sink):
        other = Wires(source, from_source, to_sink, sink, wires.pipes)
        _, over = other.splice(3)
        await other.sends(b"abc")
        assert await over is SpliceEnd.DONE
        assert await other.sink_gets(3) == b"abc"
        to_sink.close()
        assert await other.sink_gets(1) == b""


@pytest.mark.parametrize("full", [False, True])
async def test_r24_a_reset_is_sent_at_once(wires: Wires, full: bool) -> None:
    splice, _ = wires.splice(40 * len(BODY))
    sending = asyncio.ensure_future(wires.sends(40 * BODY if full else BODY[:1000]))
    await until(lambda: splice.blocked or not full)
    await wires.sink_gets(1000)
    splice.close()
    reset(wires.to_sink)
    with pytest.raises(ConnectionResetError):
        while await wires.sink_gets(1000):
            pass
    sending.cancel()


async def test_there_are_only_so_many_pipes(wires: Wires) -> None:
    wires.pipes = Pipes(limit=1)
    first, _ = wires.splice(5)
    before = descriptors()
    with pytest.raises(OSError, match="too many bodies"):
        wires.splice(5)
    assert descriptors() <= before
    first.close()
    second, _ = wires.splice(5)
    second.close()


async def test_a_small_pipe_is_worse_than_none(wires: Wires) -> None:
    """The kernel gives such to a user who has many (pipe-user-pages-soft)."""
    wires.pipes = Pipes(at_least=1024 * PIPE)
    with pytest.raises(OSError, match="small pipes"):
        wires.splice(5)


async def test_a_socket_that_is_closed_is_told_at_once(wires: Wires) -> None:
    wires.pipes = Pipes(limit=1)
    wires.to_sink.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        wires.splice(5)
    wires.pipes.end(wires.pipes.take())
