from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from controller.queue import FIRST_DELAY, LONGEST_DELAY, WorkQueue
from tests.peers.clock import FakeClock


class Work:
    """Notes what is worked on; holds a key until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.held: dict[str, asyncio.Event] = {}
        self.failing: set[str] = set()

    def hold(self, key: str) -> asyncio.Event:
        self.held[key] = asyncio.Event()
        return self.held[key]

    async def __call__(self, key: str) -> None:
        self.begun.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if key in self.held:
                await self.held[key].wait()
            if key in self.failing:
                raise ValueError(key)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def running(
    queue: WorkQueue[str], work: Callable[[str], Awaitable[None]], workers: int = 2
) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(workers, work))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def a_queue() -> tuple[WorkQueue[str], FakeClock, Work]:
    clock = FakeClock()
    return WorkQueue(clock, lambda: 1.0), clock, Work()


async def test_what_can_wait_comes_behind_the_others_and_is_not_forgotten() -> None:
    clock, work = FakeClock(), Work()
    slow = {"a", "c"}
    queue: WorkQueue[str] = WorkQueue(clock, lambda: 1.0, lambda key: key in slow)
    first = work.hold("first")
    async with running(queue, work, workers=1):
        queue.add("first")
        await clock.advance(0)
        for key in ("a", "b", "c", "d", "e"):
            queue.add(key)
        slow.add("d")
        assert queue.depth == 5
        first.set()
        await clock.advance(0)
        assert work.begun == ["first", "b", "e", "a", "c", "d"]
        queue.add("a")
        await clock.advance(0)
        assert work.begun[-1] == "a"
    queue.add("a")
    queue.clear()
    assert queue.depth == 0


async def test_a_key_waits_once() -> None:
    queue, clock, work = a_queue()
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert queue.depth == 2
    async with running(queue, work):
        await clock.advance(0)
        assert work.begun == ["a", "b"]
        assert queue.depth == 0


async def test_a_key_added_while_it_is_worked_on_is_worked_on_again_afterwards() -> None:
    queue, clock, work = a_queue()
    let_go = work.hold("a")
    async with running(queue, work):
        queue.add("a")
        await clock.advance(0)
        queue.add("a")
        queue.add("a")
        await clock.advance(0)
        assert work.begun == ["a"]
        assert queue.depth == 1
        let_go.set()
        await clock.advance(0)
        assert work.begun == ["a", "a"]
        assert work.most_at_once == 1


async def test_no_more_at_once_than_there_are_workers() -> None:
    queue, clock, work = a_queue()
    waits = [work.hold(key) for key in "abcd"]
    async with running(queue, work, workers=3):
        for key in "abcd":
            queue.add(key)
        await clock.advance(0)
        assert work.begun == ["a", "b", "c"]
        for wait in waits:
            wait.set()
        await clock.advance(0)
        assert work.begun == ["a", "b", "c", "d"]
        assert work.most_at_once == 3


async def test_delays() -> None:
    queue, clock, work = a_queue()
    async with running(queue, work):
        queue.add_after("late", 60)
        queue.add_after("soon", 10)
        queue.add_after("late", 30)
        queue.add_after("late", 90)
        assert queue.depth == 0
        await clock.advance(9.9)
        assert work.begun == []
        await clock.advance(0.2)
        assert work.begun == ["soon"]
        await clock.advance(20)
        assert work.begun == ["soon", "late"]
        await clock.advance(600)
        assert work.begun == ["soon", "late"]


async def test_a_superseded_delay_ends_no_later_one() -> None:
    queue, clock, work = a_queue()
    async with running(queue, work):
        queue.add_after("a", 60)
        queue.add_after("a", 30)
        await clock.advance(40)
        assert work.begun == ["a"]
        queue.add_after("a", 100)
        await clock.advance(99)
        assert work.begun == ["a"]
        await clock.advance(1)
        assert work.begun == ["a", "a"]


def test_a_week_of_failures_overflows_nothing() -> None:
    queue, _, _ = a_queue()
    delays = {queue.retry("a") for _ in range(1100)}
    assert max(delays) == LONGEST_DELAY


def test_back_off_doubles_up_to_five_minutes_and_begins_anew() -> None:
    queue, _, _ = a_queue()
    delays = [queue.retry("a") for _ in range(40)]
    assert delays[:4] == [FIRST_DELAY, 0.4, 0.8, 1.6]
    assert set(delays[12:]) == {LONGEST_DELAY}
    assert queue.retry("b") == FIRST_DELAY
    queue.forget("a")
    assert queue.retry("a") == FIRST_DELAY
    assert queue.retry("a", at_least=7.0) == 7.0


def test_jitter_takes_up_to_half() -> None:
    assert WorkQueue[str](FakeClock(), lambda: 0.0).retry("a") == FIRST_DELAY / 2


async def test_a_failing_key_backs_off_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    queue, clock, work = a_queue()
    work.failing = {"bad"}
    with caplog.at_level(logging.CRITICAL):
        async with running(queue, work):
            queue.add("bad")
            queue.add("good")
            await clock.advance(1.0)
    assert work.begun == ["bad", "good", "bad", "bad"]


async def test_what_waits_can_be_dropped() -> None:
    queue, clock, work = a_queue()
    queue.add("a")
    queue.add_after("b", 1)
    queue.retry("c")
    queue.clear()
    async with running(queue, work):
        await clock.advance(600)
        assert work.begun == []
        queue.add("a")
        await clock.advance(0)
        assert work.begun == ["a"]


async def test_it_stops_when_cancelled() -> None:
    queue, clock, work = a_queue()
    work.hold("a")
    queue.add("a")
    queue.add_after("b", 5)
    async with running(queue, work):
        await clock.advance(0)
    assert work.at_once == 0
    assert queue.retry("a") > 0
