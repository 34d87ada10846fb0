"""Time, read in one place; everything else is given the time, or a Clock."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """A time, UTC, as metav1.Time writes it: RFC 3339, whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def timestamp() -> str:
    """The current time as metav1.Time writes it."""
    return rfc3339(now())


class Clock(Protocol):
    """Time for whatever waits: durations by a clock that never steps, timestamps by the wall clock."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def now(self) -> datetime:
        """The wall clock, UTC; may step."""

    def epoch(self) -> float:
        """The same in seconds since the epoch, for what asks for each request."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of `monotonic`."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return now()

    def epoch(self) -> float:
        """The wall clock in seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)
