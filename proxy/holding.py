"""How much memory client connections hold together, and what that means for new ones and for those that wait. Pure."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

# What a connection costs beside the bytes it holds: by itself, under TLS on top, and with a request on its way, for
# which the tool's connection is open (measured, in KiB: 2; 22, and 42 once much has come; 10 to 24).
COST: Final = 4 * 1024
COST_SEALED: Final = 48 * 1024
COST_RELAYED: Final = 16 * 1024
# What a new connection may hold before it is looked at.
MOST: Final = 64 * 1024
# The part of the limit below which there is room again: else each connection that ends would begin it once more.
ENOUGH: Final = 0.9
# Bytes by which connections hold less than they did, for which it is worth while to give memory back: it takes some ms.
WORTH: Final = 16 * 1024 * 1024


class Turn(Enum):
    """What has changed at a look."""

    NOTHING = auto()
    BEGINS = auto()  # new connections are closed from now on
    GOES_ON = auto()  # that was not enough in a second: those that wait are closed too
    ENDS = auto()


class Holding:
    """Bytes that the connections of this process hold, beside its limit.

    They are counted once a second, so that nothing is counted for a request. Meanwhile a new connection counts as what
    it may hold.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        """`limit` in bytes, 0 for none; asked once, at the first look: the process takes what it takes at rest then."""
        self._limit = limit
        self.limit = 0
        self.held = 0
        self.full = False
        self._looked = False
        self._connections = 0
        self._peak = 0

    def look(self, held: int, connections: int) -> Turn:
        """So much is held by so many connections now."""
        if not self._looked:
            self._looked, self.limit = True, self._limit()
        self.held, self._connections = held, connections
        self._peak = max(self._peak, held)
        was, self.full = self.full, self.limit > 0 and held > self.limit * (ENOUGH if self.full else 1)
        if self.full:
            return Turn.GOES_ON if was else Turn.BEGINS
        return Turn.ENDS if was else Turn.NOTHING

    @property
    def excess(self) -> int:
        """Bytes to let go of, until there is room again."""
        return max(0, self.held - int(self.limit * ENOUGH)) if self.full else 0

    def has_room(self, connections: int) -> bool:
        """Whether a new connection may stay, when there are so many with it; if not, so it is until a look ends it."""
        if not self.limit:
            return True
        if self.held + max(0, connections - self._connections) * MOST > self.limit:
            self.full = True
        return not self.full

    def worth_giving_back(self) -> bool:
        """Whether much less is held than at most since the last time; true once for each time."""
        if self._peak - self.held < WORTH:
            return False
        self._peak = self.held
        return True
