"""A clock that stands still until a test moves it: ten minutes pass in milliseconds, in the order they would."""

from __future__ import annotations

import asyncio
import heapq
import math
from datetime import UTC, datetime, timedelta
from itertools import count


class FakeClock:
    """A Clock (connectors/process/clock.py). Sleepers wake in the order of their times while `advance` runs."""

    def __init__(self, wall: datetime = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)) -> None:
        self._monotonic = 1000.0
        self._wall = wall
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self._monotonic

    def now(self) -> datetime:
        return self._wall

    def epoch(self) -> float:
        return self._wall.timestamp()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), future))
        await future

    def step(self, seconds: float) -> None:
        """Only the wall clock steps, as when somebody sets it."""
        self._wall += timedelta(seconds=seconds)

    def until_next(self) -> float:
        """Seconds until the next sleeper wakes; infinite if none sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] - self._monotonic if self._sleepers else math.inf

    async def advance(self, seconds: float, turns: int = 20) -> None:
        """Let time pass; after each wake-up the event loop gets `turns` turns to do what follows from it."""
        end = self._monotonic + seconds
        await self._turn(turns)
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            self._move(when)
            if not future.done():
                future.set_result(None)
            await self._turn(turns)
        self._move(end)
        await self._turn(turns)

    def _move(self, to: float) -> None:
        self._wall += timedelta(seconds=to - self._monotonic)
        self._monotonic = to

    async def _turn(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
