"""What probing costs (contract: "Metrics"): plain numbers, put into prometheus_client's shapes when scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.process.distribution import Distribution
from controller.probes.outcome import Outcome, Purpose

DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a tool next door to the timeout."""
OK = "ok"


class ProbeMetrics(Collector):
    """How long probes take and how they end, by what they are for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durations = {purpose: Distribution(DURATIONS) for purpose in Purpose}
        self._results: Counter[tuple[Purpose, str]] = Counter()
        registry.register(self)

    def probed(self, purpose: Purpose, outcome: Outcome, seconds: float) -> None:
        """Count one probe."""
        self._durations[purpose].observe(seconds)
        self._results[purpose, outcome.reason.value if outcome.failed and outcome.reason else OK] += 1

    def collect(self) -> Iterator[Metric]:
        """Both families (prometheus_client's Collector). Runs in another thread: the dict is copied first."""
        durations = HistogramMetricFamily(
            "connectors_controller_probe_duration_seconds",
            "How long one probe took, redirects included.",
            labels=("probe",),
        )
        for purpose, distribution in self._durations.items():
            durations.add_metric((purpose.value,), distribution.cumulative(), distribution.total)
        yield durations
        results = CounterMetricFamily(
            "connectors_controller_probes",
            "Probes by how they ended: ok, or the reason of the condition.",
            labels=("probe", "result"),
        )
        for (purpose, result), count in list(self._results.items()):
            results.add_metric((purpose.value, result), count)
        yield results
