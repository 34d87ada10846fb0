"""How many questions are in memory at once: each takes its turn before its body is read, and keeps it to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.process.clock import Clock, within

SMALL = 256 * 1024
"""Bytes of a body up to which many are taken at once. Nearly every question of an API server has less than 20 KiB."""
SMALL_AT_ONCE = 64
"""16 MiB of bodies, some three times as much with what is made of them. Each review may put three questions to the API
server; whoever reaches the port must not be able to put thousands in this program's name."""
LARGE_AT_ONCE = 2
"""Larger ones, up to MAX_BODY in server.py, and those that do not say how large they are. They have turns of their own,
so that nobody's small question waits because somebody sends large ones slowly."""


class BusyError(Exception):
    """It was nobody's turn in time."""


class Turns:
    """Who waits has sent its head alone; what came of its body stays with the kernel and aiohttp, 128 KiB at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    @asynccontextmanager
    async def taken(self, length: int | None, seconds: float) -> AsyncIterator[None]:
        """A turn for a body of that declared length, waited for in order, for so many seconds at most.

        Raises:
            BusyError: others had theirs for that long.
        """
        lane = self._large if length is None or length > SMALL else self._small
        held: list[asyncio.Semaphore] = []

        async def take() -> None:
            await lane.acquire()
            held.append(lane)

        try:
            try:
                await within(self._clock, seconds, take())
            except TimeoutError as error:
                raise BusyError(str(error)) from None
            yield
        finally:
            # Also where this was cancelled in the moment in which the turn came.
            for one in held:
                one.release()
