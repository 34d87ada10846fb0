"""What probing costs (docs/metrics.md)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from controller.probes.outcome import ProbeOutcome, Purpose

# Seconds: from a tool next door to the timeout.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
OK = "ok"


class ProbeMetrics:
    """How long probes take and how they end, by what they are for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durations = Histogram(
            "connectors_controller_probe_duration_seconds",
            "How long one probe took, redirects included.",
            ("probe",),
            buckets=DURATIONS,
            registry=registry,
        )
        for purpose in Purpose:
            self._durations.labels(purpose.value)
        self._results = Counter(
            "connectors_controller_probes",
            "Probes by how they ended: ok, or the reason of the condition.",
            ("probe", "result"),
            registry=registry,
        )

    def probed(self, purpose: Purpose, outcome: ProbeOutcome, seconds: float) -> None:
        """Count one probe."""
        result = outcome.reason.value if outcome.failed and outcome.reason else OK
        self._durations.labels(purpose.value).observe(seconds)
        self._results.labels(purpose.value, result).inc()
