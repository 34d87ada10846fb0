"""Timeouts for thousands of connections with one timer: a deadline is an attribute, and setting it costs nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

NEVER = float("inf")


class Timed(Protocol):
    """Something with a deadline, in seconds of time.monotonic(); NEVER where none runs."""

    deadline: float

    def expired(self) -> None:
        """The deadline has passed. Called again on each tick until it moves or the watching ends."""
        ...


class Watchdog:
    """Looks at every deadline once per `interval` seconds: so much later than asked a timeout may strike."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._watched: set[Timed] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._on_tick: list[Callable[[], None]] = []

    def on_tick(self, look: Callable[[], None]) -> None:
        """Call `look` on each tick too."""
        self._on_tick.append(look)

    def watch(self, item: Timed) -> None:
        """Begin to look at the deadline of `item`."""
        self._watched.add(item)

    def forget(self, item: Timed) -> None:
        """Stop looking."""
        self._watched.discard(item)

    def start(self) -> None:
        """Begin to tick on the running loop."""
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._tick)

    def stop(self) -> None:
        """Stop ticking."""
        if self._timer:
            self._timer.cancel()

    def _tick(self) -> None:
        self.start()
        for look in self._on_tick:
            look()
        now = time.monotonic()
        for item in [item for item in self._watched if item.deadline <= now]:
            item.expired()
