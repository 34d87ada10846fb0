"""The work queue: names that wait to be looked at, each once and by one worker at a time (client-go's workqueue)."""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections import Counter, OrderedDict, deque
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


class Turns(Generic[K]):
    """Keys that are ready, in groups that take turns: a group of thousands keeps no other waiting.

    Of one group at most `limit` keys are worked on at once, so that a group whose work takes long leaves room for
    others; a group that is the only one that ever came has no limit. The defaults make one group of all.
    """

    def __init__(self, group: Callable[[K], Hashable] = lambda _: None, limit: float = math.inf) -> None:
        self._group = group
        self._limit = limit
        # The group whose turn it is, first.
        self._ready: OrderedDict[Hashable, deque[K]] = OrderedDict()
        # Groups with as many keys at work as they may have.
        self._full: dict[Hashable, deque[K]] = {}
        self._working: Counter[Hashable] = Counter()
        # Also those with nothing to do now: their next key must find room.
        self._seen: set[Hashable] = set()

    def add(self, key: K, *, first: bool = False) -> None:
        """The last one of its group, or its `first`."""
        group = self._group(key)
        self._seen.add(group)
        keys = self._full.get(group)
        if keys is None:
            keys = self._groups_with_room(group).setdefault(group, deque())
        keys.appendleft(key) if first else keys.append(key)

    def take(self) -> K | None:
        """The key whose turn it is, which is worked on from now on; None if none may be."""
        if not self._ready:
            return None
        group, keys = self._ready.popitem(last=False)
        if self._groups_with_room(group) is self._full:
            # It began more while it was alone.
            self._full[group] = keys
            return self.take()
        key = keys.popleft()
        self._working[group] += 1
        if keys:
            self._groups_with_room(group)[group] = keys
        return key

    def done(self, key: K) -> None:
        """It is not worked on any more."""
        group = self._group(key)
        self._working[group] -= 1
        if not self._working[group]:
            del self._working[group]
        # Not before it is below its limit: it may have been above it, while it was alone.
        if group in self._full and self._working[group] < self._limit:
            self._ready[group] = self._full.pop(group)

    def clear(self) -> None:
        """Drop all that wait, and forget which groups there were."""
        self._ready.clear()
        self._full.clear()
        self._seen.clear()

    def _groups_with_room(self, group: Hashable) -> dict[Hashable, deque[K]]:
        """Where the keys of this group belong now: they wait for their turn, or for one of its own to be done."""
        alone = len(self._seen) < 2
        return self._ready if alone or self._working[group] < self._limit else self._full


class WorkQueue(Generic[K]):
    """Level-triggered: a key says what to look at, never what happened.

    A key that is added while it is worked on is worked on again afterwards. `jitter` returns a number from 0 to 1.
    """

    def __init__(self, clock: Clock, jitter: Callable[[], float], turns: Turns[K] | None = None) -> None:
        self._clock = clock
        self._jitter = jitter
        self._ready = Turns[K]() if turns is None else turns
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

    def add(self, key: K, *, first: bool = False) -> None:
        """Queue a key, for the next free worker; `first`: before others of its group."""
        # Never two workers on one key: they would write the same object from two looks at it.
        if key in self._working:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.add(key, first=first)
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
            while (key := self._ready.take()) is None:
                self._arrived.clear()
                await self._arrived.wait()
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
                self._ready.done(key)
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
