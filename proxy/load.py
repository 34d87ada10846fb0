"""What one Connector uses of this process now, and the line of its requests that wait for a connection to its tools."""

from __future__ import annotations

import asyncio
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from connectors.objects.ceilings import NO_CEILINGS, Ceilings
from proxy.watchdog import NEVER


class Held(Protocol):
    """A connection to a tool, in use, being made, or idle until its deadline."""

    deadline: float

    @property
    def usable(self) -> bool:
        """Whether a request may still be written."""
        ...

    def close(self) -> None:
        """Close behind what is still to be sent."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


C = TypeVar("C", bound=Held)
# Where a connection is kept while it is idle.
Pool = object
# None: a connection may be made now.
Turn = asyncio.Future[C | None]


class Load(Generic[C]):
    """`requests` that were let through and are not over; `connections` toward all of its tools.

    `ceilings` apply now, each as it is read for each request: `most_requests`, `most_connections`, and `rate`, 0 for
    none. Beyond `most_connections` requests stand in `line`, each with the pool of which it would take a connection,
    None for one that takes none that was used before. While any stands there, no connection is idle.
    """

    __slots__ = (
        "__weakref__", "_promised", "connections", "line", "most_connections", "most_requests", "rate", "requests",
    )  # fmt: skip

    def __init__(self, ceilings: Ceilings = NO_CEILINGS) -> None:
        self.requests = 0
        self.most_requests, self.most_connections, self.rate = _read(ceilings)
        self.connections: set[C] = set()
        # Ordered, and one in the middle is taken out at once: a thousand clients may leave together.
        self.line: OrderedDict[Turn[C], Pool | None] = OrderedDict()
        self._promised = 0

    def bound(self, ceilings: Ceilings) -> None:
        """Other ceilings apply from now on. What runs goes on, and still counts."""
        self.most_requests, self.most_connections, self.rate = _read(ceilings)
        self.call_next()

    async def turn(self, pool: Pool | None, seconds: float, fit: Callable[[C], bool]) -> C | None:
        """Wait until one more connection may be made; returns None then, or one of `pool` that is handed over.

        `fit`: whether one that is handed over may be used. The waiting is in order, and ends after so many seconds.

        Raises:
            TimeoutError: it has ended.
        """
        if self.may_begin():
            return None
        async with asyncio.timeout(seconds):
            handed = await self._in_line(pool, first=False)
            # The tool may have closed it, or another snapshot serve, before the request could take it.
            while handed is not None and not (handed.usable and fit(handed)):
                handed.close()
                if self.may_begin():
                    return None
                handed = await self._in_line(pool, first=True)
            return handed

    async def _in_line(self, pool: Pool | None, *, first: bool) -> C | None:
        turn = self.stand_in_line(pool, first=first)
        try:
            await turn
        except asyncio.CancelledError:
            # Out of time, or its client has left: what it was given in this very turn must not be lost.
            if (handed := self.step_out(turn)) is not None:
                handed.close()
            raise
        return self.take_turn(turn)

    def may_begin(self) -> bool:
        """Whether a connection may be made now; an idle one, of another address, is closed where it is in the way."""
        return not self.line and (self._has_room() or self._make_room())

    def stand_in_line(self, pool: Pool | None, *, first: bool) -> Turn[C]:
        """A future of the connection that is handed over, or of None: then one may be made, at once.

        Whoever waits for it must call `step_out` where it does not come to use what it gets.
        """
        turn: Turn[C] = asyncio.get_running_loop().create_future()
        self.line[turn] = pool
        if first:
            self.line.move_to_end(turn, last=False)
        return turn

    def take_turn(self, turn: Turn[C]) -> C | None:
        """What came of a turn. If it is None, the connection must be among `connections` before others run."""
        if (handed := turn.result()) is None:
            self._promised -= 1
        return handed

    def step_out(self, turn: Turn[C]) -> C | None:
        """Wait no more. Returns a connection that had been handed over already, which must go on to others."""
        if self.line.pop(turn, self) is not self or turn.cancelled():
            return None
        handed = self.take_turn(turn)
        self.call_next()
        return handed

    def hand_over(self, connection: C, pool: Pool) -> bool:
        """Give a connection, whose request is over, to the first in line; whether that one takes it."""
        turn, wanted = next(iter(self.line.items()))
        if wanted is not pool:
            return False
        del self.line[turn]
        turn.set_result(connection)
        return True

    def gone(self, connection: C) -> None:
        """A connection is closed, or was not made."""
        self.connections.discard(connection)
        self.call_next()

    def call_next(self) -> None:
        """Let those in line make connections, as far as there is room."""
        while self.line and self._has_room():
            turn, _ = self.line.popitem(last=False)
            if not turn.done():
                # Until its task runs: another request must not take the place meanwhile.
                self._promised += 1
                turn.set_result(None)

    def _has_room(self) -> bool:
        return len(self.connections) + self._promised < self.most_connections

    def _make_room(self) -> bool:
        # Looked for only at the limit, since to count them would cost each request.
        idle = [connection for connection in self.connections if connection.deadline != NEVER and connection.usable]
        while idle and not self._has_room():
            connection = idle.pop()
            # It counts no more: it is gone before the next turn of the loop ends.
            self.connections.discard(connection)
            connection.abort()
        return self._has_room()


def _read(ceilings: Ceilings) -> tuple[int, int, int]:
    return ceilings.requests or sys.maxsize, ceilings.connections or sys.maxsize, ceilings.rate
