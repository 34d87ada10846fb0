from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from proxy.bodies import SECONDS, LastBytes
from tests.peers.descriptors import descriptors
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.test_course import End

BODY = os.urandom(8 * 1024 * 1024)


class Desk:
    """A peer, this end of the connection to it, and whether the time for a reset has come."""

    def __init__(self, peer: RawStream, end: End) -> None:
        self.peer, self.end = peer, end
        self.told = 0
        self.over = asyncio.Event()

    def writes_its_last(self, data: bytes) -> LastBytes:
        self.end.own.write(data)
        last = LastBytes(self.end.own, self._over)
        self.end.changed = lambda: None if self.end.full else last.go_on()
        last.go_on()
        return last

    def _over(self) -> None:
        self.told += 1
        self.over.set()


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with RawUpstream() as peer:
        _, end = await asyncio.get_running_loop().create_connection(End, "127.0.0.1", peer.port)
        made = Desk(await peer.accept(), end)
        before = descriptors()
        yield made
        assert descriptors() <= before
        end.own.abort()


@pytest.mark.parametrize("size", [0, 1, len(BODY)])
async def test_all_is_sent_before_it_is_told(size: int) -> None:
    """More than the kernel holds is among it."""
    async with desk() as at:
        at.peer.transport.pause_reading()
        at.writes_its_last(BODY[:size])
        assert not at.over.is_set()
        at.peer.transport.resume_reading()
        began = time.monotonic()
        await at.over.wait()
        assert time.monotonic() - began < SECONDS / 2
        assert at.end.own.get_write_buffer_size() == 0
        assert at.told == 1
        assert await at.peer.read_exactly(size) == BODY[:size]


async def test_a_peer_that_does_not_read_is_not_waited_for() -> None:
    async with desk() as at:
        at.peer.transport.pause_reading()
        began = time.monotonic()
        at.writes_its_last(BODY)
        await at.over.wait()
        assert SECONDS / 2 < time.monotonic() - began < 3 * SECONDS
        at.peer.transport.resume_reading()


async def test_nothing_is_told_of_what_is_closed() -> None:
    async with desk() as at:
        last = at.writes_its_last(BODY[:1000])
        last.close()
        await at.peer.read_exactly(1000)
        assert at.told == 0


async def test_what_is_gone_is_told_at_once() -> None:
    async with desk() as at:
        at.writes_its_last(b"")
        await at.over.wait()
        LastBytes(None, at._over).go_on()
        assert at.told == 2
