"""What was measured: samples of each scenario and proxy, their medians, and ratios between proxies."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

MICRO = 1e6


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: CPU seconds per request or GiB (None: not the proxy's), requests or GiB per second, latencies in ms."""

    cpu: float | None
    rate: float
    p50: float | None = None
    p99: float | None = None

    def shown(self, per: str) -> str:
        """For the progress: the CPU alone."""
        if self.cpu is None:
            return f"{self.rate:,.0f}/s" if per == "request" else f"{self.rate:.2f} GiB/s"
        return f"{self.cpu * MICRO:.1f} us" if per == "request" else f"{self.cpu:.2f} s"


@dataclass(slots=True)
class Results:
    """Samples by scenario and proxy, in the order of rounds; and what went wrong, by proxy."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def add(self, scenario: str, peer: str, sample: Sample) -> None:
        """One round's."""
        self.samples.setdefault(scenario, {}).setdefault(peer, []).append(sample)

    def fail(self, peer: str, why: str) -> None:
        """It is left out from here on, in this scenario or altogether."""
        self.failures.setdefault(peer, []).append(why)

    def cpu(self, scenario: str, peer: str) -> float | None:
        """The median, in seconds per request or GiB."""
        return _median([sample.cpu for sample in self.of(scenario, peer)])

    def rate(self, scenario: str, peer: str) -> float | None:
        """The median, per second."""
        return _median([sample.rate for sample in self.of(scenario, peer)])

    def latency(self, scenario: str, peer: str) -> tuple[float | None, float | None]:
        """Medians of both quantiles (50 %, 99 %), in milliseconds."""
        samples = self.of(scenario, peer)
        return _median([sample.p50 for sample in samples]), _median([sample.p99 for sample in samples])

    def ratio(self, scenario: str, other: str, peer: str) -> float | None:
        """The other's CPU divided by this one's: the median of the rounds' own ratios. 2: it takes half of it."""
        pairs = zip(self.of(scenario, other), self.of(scenario, peer), strict=False)
        return _median([theirs.cpu / own.cpu for theirs, own in pairs if theirs.cpu and own.cpu])

    def of(self, scenario: str, peer: str) -> list[Sample]:
        """All rounds."""
        return self.samples.get(scenario, {}).get(peer, [])


def _median(values: list[float | None] | list[float]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
