from __future__ import annotations

import asyncio

import pytest

from connectors.process.clock import within
from tests.peers.clock import FakeClock


async def answer() -> str:
    return "well"


async def failure() -> str:
    raise ValueError("wrong")


async def test_what_ends_in_time() -> None:
    clock = FakeClock()
    assert await within(clock, 5, answer()) == "well"
    with pytest.raises(ValueError, match="wrong"):
        await within(clock, 5, failure())


async def test_what_takes_too_long_is_cancelled() -> None:
    clock, cancelled = FakeClock(), asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(within(clock, 5, hang()))
    await clock.advance(4.9)
    assert not waiting.done()
    await clock.advance(0.2)
    assert cancelled.is_set()
    with pytest.raises(TimeoutError, match="5 s"):
        await waiting


async def test_the_work_ends_with_its_caller() -> None:
    clock, begun, cancelled = FakeClock(), asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    waiting = asyncio.create_task(within(clock, 5, hang()))
    await begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert cancelled.is_set()
