"""How long to wait after a failure: exponential with full jitter, so that many clients do not come back at once.

Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable

# Seconds; the upper bound of the first wait.
START = 0.2
# Seconds; the upper bound of every wait: how late, at most, a server that is back is noticed.
CAP = 10.0


class Backoff:
    """The waits after failures in a row. `chance` gives numbers from 0 to 1."""

    def __init__(self, start: float = START, cap: float = CAP, chance: Callable[[], float] = random.random) -> None:
        self._start = start
        self._cap = cap
        self._chance = chance
        self._bound = start

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        bound = self._bound
        self._bound = min(self._cap, bound * 2)
        return bound * self._chance()

    def reset(self) -> None:
        """Something worked."""
        self._bound = self._start
