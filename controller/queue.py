"""The work queue: names that wait to be looked at, each once and by one worker at a time (client-go's workqueue)."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

from connectors.process.clock import Clock, within

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger("connectors.queue")

# Seconds before a second try: a conflict is over by then.
FIRST_DELAY = 0.2
# Seconds. A key that fails for hours (a quota, a policy) is tried twelve times an hour; a change wakes it at once.
LONGEST_DELAY = 300.0


class WorkQueue(Generic[K]):
    """Level-triggered: a key says what to look at, never what happened.

    A key that is added while it is worked on is worked on again afterwards. `jitter` returns a number from 0 to 1.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0
        self._failures: dict[K, int] = {}
        self._arrived = asyncio.Event()
        self._scheduled = asyncio.Event()

    @property
    def depth(self) -> int:
        """How many keys wait to be worked on now; delayed ones do not count."""
        return len(self._waiting) + len(self._again)

    def add(self, key: K) -> None:
        """Queue a key, for the next free worker."""
        # Never two workers on one key: they would write the same object from two looks at it.
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._arrived.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Queue a key in that many seconds; of several delays, the shortest counts."""
        due = self._clock.monotonic() + seconds
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        self._count += 1  # keys need not be comparable
        heapq.heappush(self._heap, (due, self._count, key))
        self._scheduled.set()

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Queue a key after its back-off, which doubles with each call. Returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # An exponent without bound overflows after a week of failures.
        delay = min(FIRST_DELAY * 2.0 ** min(failures, 30), LONGEST_DELAY)
        # Half of it is certain, so that a crowd spreads and does not come back at once.
        delay = max(delay * (0.5 + 0.5 * self._jitter()), at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset a key's back-off, since its work went well. A delay stays."""
        self._failures.pop(key, None)

    def clear(self) -> None:
        """Drop everything that waits, delays and back-offs included."""
        self._ready.clear()
        self._waiting.clear()
        self._again.clear()
        self._due.clear()
        self._heap.clear()
        self._failures.clear()

    async def run(self, workers: int, work: Callable[[K], Awaitable[None]]) -> None:
        """Work until cancelled; `workers` keys at a time. What `work` raises is logged, and its key backs off."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._schedule())
            for _ in range(workers):
                tasks.create_task(self._worker(work))

    async def _worker(self, work: Callable[[K], Awaitable[None]]) -> None:
        while True:
            while not self._ready:
                self._arrived.clear()
                await self._arrived.wait()
            key = self._ready.popleft()
            self._waiting.discard(key)
            # From here on an `add` means another look afterwards: this one may have read its facts already.
            self._working.add(key)
            try:
                await work(key)
            except Exception:  # the root of this key's work: what is wrong with it must not stop the others
                logger.exception("work on %s failed unexpectedly; it is tried again", key)
                self.retry(key)
            finally:
                self._working.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    async def _schedule(self) -> None:
        while True:
            self._scheduled.clear()
            self._release()
            if not self._heap:
                await self._scheduled.wait()
                continue
            with suppress(TimeoutError):
                await within(self._clock, self._heap[0][0] - self._clock.monotonic(), self._scheduled.wait())

    def _release(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            # Otherwise a shorter delay has replaced this entry, and released the key already.
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
