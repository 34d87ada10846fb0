from __future__ import annotations

import asyncio

import pytest

from controller.admission.webhook import LARGE_AT_ONCE, SMALL, SMALL_AT_ONCE, BusyError, Turns
from tests.peers.clock import FakeClock

SECONDS = 8.0


class Taker:
    """Takes turns, and keeps each until it is told to give it back."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.turns = Turns(self.clock)
        self.inside = 0
        self.free = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self, count: int, length: int | None) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._take(length)) for _ in range(count)]
        self.tasks += tasks
        await self.clock.advance(0)
        return tasks

    async def _take(self, length: int | None) -> None:
        async with self.turns.taken(length, SECONDS):
            self.inside += 1
            await self.free.wait()


@pytest.mark.parametrize(
    ("length", "most"),
    [(0, SMALL_AT_ONCE), (SMALL, SMALL_AT_ONCE), (SMALL + 1, LARGE_AT_ONCE), (1 << 40, LARGE_AT_ONCE), (None, 2)],
)
async def test_so_many_at_once(length: int | None, most: int) -> None:
    taker = Taker()
    await taker.start(most + 3, length)
    assert taker.inside == most
    taker.free.set()
    await asyncio.gather(*taker.tasks)
    assert taker.inside == most + 3


async def test_large_ones_and_small_ones_do_not_wait_for_each_other() -> None:
    taker = Taker()
    await taker.start(LARGE_AT_ONCE + 50, SMALL + 1)
    await taker.start(SMALL_AT_ONCE + 50, SMALL)
    assert taker.inside == LARGE_AT_ONCE + SMALL_AT_ONCE
    taker.free.set()
    await asyncio.gather(*taker.tasks)


async def test_who_waits_too_long_is_told_and_takes_no_turn() -> None:
    taker = Taker()
    await taker.start(LARGE_AT_ONCE, None)
    (late,) = await taker.start(1, None)
    await taker.clock.advance(SECONDS - 0.1)
    assert not late.done()
    await taker.clock.advance(0.2)
    with pytest.raises(BusyError):
        await late
    taker.free.set()
    await asyncio.gather(*taker.tasks[:LARGE_AT_ONCE])
    taker.free.clear()
    await taker.start(LARGE_AT_ONCE, None)
    assert taker.inside == 2 * LARGE_AT_ONCE


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_gives_its_turn_back(turns: int) -> None:
    """Also in the very moment in which the turn comes."""
    taker = Taker()
    first = await taker.start(LARGE_AT_ONCE, None)
    (waiting,) = await taker.start(1, None)
    first[0].cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    first[1].cancel()
    await asyncio.gather(*taker.tasks, return_exceptions=True)
    before = taker.inside
    await taker.start(LARGE_AT_ONCE, None)
    assert taker.inside == before + LARGE_AT_ONCE
    taker.free.set()
    await asyncio.gather(*taker.tasks, return_exceptions=True)
