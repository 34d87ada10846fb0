"""Who may ask a tool now: so many at once of one server, the others wait in line."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Origins(Generic[K]):
    """At most `limit` keys hold an origin at a time; the others stand in line, where their groups take turns.

    A place that is let go of is kept for the first in line, which is named and must `enter` or `decline`: so the line
    never stands still, however many others come. A key stands in one line or has one place kept for it, never both.
    """

    def __init__(self, limit: int, group: Callable[[K], Hashable] = lambda _: None) -> None:
        self._limit = limit
        self._group = group
        self._held: Counter[Hashable] = Counter()
        # By origin, then by group: the one whose turn it is first.
        self._line: dict[Hashable, OrderedDict[Hashable, dict[K, None]]] = {}
        self._kept: dict[K, Hashable] = {}
        self._stands: dict[K, Hashable] = {}

    def enter(self, origin: Hashable, key: K) -> bool:
        """Hold the origin; where it is full, stand in line and return False. `decline` the others first."""
        if key in self._kept:
            del self._kept[key]
            return True
        if self._held[origin] < self._limit:
            self._held[origin] += 1
            return True
        self._line.setdefault(origin, OrderedDict()).setdefault(self._group(key), {})[key] = None
        self._stands[key] = origin
        return False

    def leave(self, origin: Hashable) -> K | None:
        """Let go of it; returns the key for which the place is kept now."""
        line = self._line.get(origin)
        if line:
            group, keys = next(iter(line.items()))
            key = next(iter(keys))
            line.move_to_end(group)
            self._step_out(key)
            self._kept[key] = origin
            return key
        self._held[origin] -= 1
        if self._held[origin] <= 0:
            del self._held[origin]
        return None

    def decline(self, key: K, wanted: Hashable = None) -> K | None:
        """Give up the key's place at another origin than `wanted`, in line or kept; see `leave`.

        Who stood in two lines could be named for both, and one place would be forgotten.
        """
        if self._stands.get(key, wanted) != wanted:
            self._step_out(key)
        if key not in self._kept or self._kept[key] == wanted:
            return None
        return self.leave(self._kept.pop(key))

    def _step_out(self, key: K) -> None:
        origin, group = self._stands.pop(key), self._group(key)
        line = self._line[origin]
        del line[group][key]
        if not line[group]:
            del line[group]
        if not line:
            del self._line[origin]

    def keeps(self, key: K) -> bool:
        """Whether a place is kept for it, which no other uses until it has come."""
        return key in self._kept

    def clear(self) -> None:
        """No place is held, and no key waits."""
        self._held.clear()
        self._line.clear()
        self._kept.clear()
        self._stands.clear()
