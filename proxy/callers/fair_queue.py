"""What waits for its turn, shared out fairly over accounts. Pure: times are given."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Accounts take turns; what one of them puts in comes out in its order.

    An account's turn comes when it would have come first, had it come as much later as it is `late`: so one that owes
    nothing goes before all that owe something, and none of these waits for ever.
    """

    def __init__(self) -> None:
        self._of: dict[str, deque[T]] = {}
        # One entry for each account: when it came, or had its last turn; the number keeps the order of equals.
        self._order: list[tuple[float, int, str]] = []
        self._numbers = count()
        self._size = 0

    def __len__(self) -> int:
        """How much waits."""
        return self._size

    def add(self, account: str, item: T, now: float) -> None:
        """Let it wait, behind all of its account's."""
        items = self._of.get(account)
        if items is None:
            items = self._of[account] = deque()
            heapq.heappush(self._order, (now, next(self._numbers), account))
        items.append(item)
        self._size += 1

    def pop(self, now: float, late: Callable[[str], float]) -> tuple[str, T]:
        """Whose turn it is, and what of it. `late`: the time before which an account is not due, unless no other is.

        Raises:
            IndexError: nothing waits.
        """
        # What an account owes changes while it waits, so it is looked at when it stands in front.
        while (due := late(self._order[0][2])) > self._order[0][0]:
            heapq.heapreplace(self._order, (due, *self._order[0][1:]))
        _, _, account = heapq.heappop(self._order)
        items = self._of[account]
        item = items.popleft()
        self._size -= 1
        if items:
            heapq.heappush(self._order, (now, next(self._numbers), account))
        else:
            del self._of[account]
        return account, item

    def displace(self, account: str) -> T | None:
        """Take out what makes room for one more of this account's: the newest of the account that has the most.

        None if none has more than this one would have then.
        """
        if self._size <= len(self._of):
            return None  # each has one; no need to look at all of them
        most = max(self._of.values(), key=len)
        # It keeps one at least, so no account without anything stands in the order.
        if len(most) <= len(self._of.get(account, ())) + 1:
            return None
        self._size -= 1
        return most.pop()
