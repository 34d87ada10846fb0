"""A histogram's numbers. Counted plainly and put into prometheus_client's shapes when scraped: its own take a lock."""

from __future__ import annotations

from bisect import bisect_left
from math import inf


class Distribution:
    """How many observations fell below each of `bounds` (seconds, rising), and their sum in seconds."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound and count of all observations up to it, as the exposition format wants them."""
        sums, so_far = [], 0
        for bound, count in zip((*self._bounds, inf), list(self.counts), strict=True):
            so_far += count
            sums.append(("+Inf" if bound == inf else str(bound), float(so_far)))
        return sums
