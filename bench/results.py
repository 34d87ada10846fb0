"""What was measured: samples of each scenario and proxy, their medians, and ratios between proxies; and its file."""

from __future__ import annotations

import statistics
from pathlib import Path

import msgspec

MICRO = 1e6


class Sample(msgspec.Struct, frozen=True, array_like=True):
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

    def rounded(self) -> Sample:
        """With four digits, which is more than is certain."""
        return Sample(_four(self.cpu), _four(self.rate) or 0.0, _four(self.p50), _four(self.p99))


class Results(msgspec.Struct):
    """Samples by scenario and proxy, in the order of rounds; what went wrong, and what was missing, by proxy."""

    samples: dict[str, dict[str, list[Sample]]] = {}
    failures: dict[str, list[str]] = {}
    missing: dict[str, str] = {}

    def add(self, scenario: str, peer: str, sample: Sample) -> None:
        """One round's."""
        self.samples.setdefault(scenario, {}).setdefault(peer, []).append(sample.rounded())

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


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured, and how busy that was before (load average of a minute)."""

    cpus: int
    system: str
    python: str
    load: float


class Reached(msgspec.Struct, frozen=True):
    """Of an earlier run: its commit, when (UTC), and nginx's CPU divided by ours, by scenario."""

    commit: str
    when: str
    ratios: dict[str, float]


class Report(msgspec.Struct):
    """A run of `make bench`, as docs/performance.json holds it. `peers`: versions. `alone`: numbers by their names."""

    commit: str
    when: str
    machine: Machine
    rounds: int
    seconds: float
    peers: dict[str, str]
    results: Results
    alone: dict[str, dict[str, float]] = {}
    history: list[Reached] = []


def read(path: Path) -> Report:
    """What `write` wrote.

    Raises:
        OSError: there is no such file.
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(path.read_bytes(), type=Report)


def write(path: Path, report: Report) -> None:
    """As JSON that a diff can show."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def _median(values: list[float | None] | list[float]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _four(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
