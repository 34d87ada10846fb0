from __future__ import annotations

import asyncio
import time

from proxy.watchdog import NEVER, Watchdog


class Item:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.struck = asyncio.Event()
        self.times = 0

    def expired(self) -> None:
        self.times += 1
        self.struck.set()


async def test_only_what_has_passed_strikes() -> None:
    watchdog = Watchdog(interval=0.005)
    past, future, never, forgotten = Item(0.0), Item(time.monotonic() + 60), Item(NEVER), Item(0.0)
    for item in (past, future, never, forgotten):
        watchdog.watch(item)
    watchdog.forget(forgotten)
    watchdog.start()
    await asyncio.wait_for(past.struck.wait(), 5)
    watchdog.stop()
    assert (future.times, never.times, forgotten.times) == (0, 0, 0)


async def test_it_strikes_again_until_the_deadline_moves() -> None:
    watchdog = Watchdog(interval=0.005)
    item = Item(0.0)
    watchdog.watch(item)
    watchdog.start()
    for _ in range(2):
        item.struck.clear()
        await asyncio.wait_for(item.struck.wait(), 5)
    item.deadline = NEVER
    other = Item(0.0)
    watchdog.watch(other)
    seen = item.times
    await asyncio.wait_for(other.struck.wait(), 5)
    watchdog.stop()
    assert item.times == seen


async def test_one_that_fails_does_not_stop_the_ticking() -> None:
    class Failing(Item):
        def expired(self) -> None:
            super().expired()
            raise RuntimeError

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    watchdog = Watchdog(interval=0.005)
    item = Failing(0.0)
    watchdog.watch(item)
    watchdog.start()
    for _ in range(2):
        item.struck.clear()
        await asyncio.wait_for(item.struck.wait(), 5)
    watchdog.stop()


def test_forgetting_what_is_not_watched_and_stopping_early() -> None:
    watchdog = Watchdog(interval=1.0)
    watchdog.forget(Item(0.0))
    watchdog.stop()
