"""A histogram's numbers. Counted plainly and put into prometheus_client's shapes when scraped: its own take a lock."""

from __future__ import annotations

from bisect import bisect_right
from math import fsum, inf

# Observations that are kept until they are counted together: sorted, a bound is looked for once for all of them.
AT_ONCE = 512


class Distribution:
    """How many observations fell below each of `bounds` (seconds, rising), and their sum in seconds."""

    __slots__ = ("_bounds", "_counted", "fresh")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        # Not counted yet. Code that observes often may append here, and call `fold` from AT_ONCE on.
        self.fresh: list[float] = []
        # Counts, their sum, what is not counted yet: replaced together, for a scrape in another thread.
        self._counted: tuple[list[int], float, list[float]] = [0] * (len(bounds) + 1), 0.0, self.fresh

    def observe(self, seconds: float) -> None:
        """Add one observation."""
        self.fresh.append(seconds)
        if len(self.fresh) >= AT_ONCE:
            self.fold()

    def fold(self) -> None:
        """Count what was observed since the last time."""
        (counts, total, _), fresh = self._counted, self.fresh
        self.fresh = []
        self._counted = self._added(counts, fresh), total + fsum(fresh), self.fresh

    @property
    def total(self) -> float:
        """The sum of all observations, in seconds."""
        _, total, fresh = self._counted
        return total + fsum(fresh)

    def cumulative(self) -> list[tuple[str, float]]:
        """Upper bound and count of all observations up to it, as the exposition format wants them."""
        counts, _, fresh = self._counted
        sums, so_far = [], 0
        for bound, count in zip((*self._bounds, inf), self._added(counts, fresh), strict=True):
            so_far += count
            sums.append(("+Inf" if bound == inf else str(bound), float(so_far)))
        return sums

    def _added(self, counts: list[int], observations: list[float]) -> list[int]:
        ordered, sums, before = sorted(observations), list(counts), 0
        for position, bound in enumerate(self._bounds):
            upto = bisect_right(ordered, bound, before)
            sums[position] += upto - before
            before = upto
        sums[-1] += len(ordered) - before
        return sums
