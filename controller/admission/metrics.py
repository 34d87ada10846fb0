"""The webhook's metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_NOTHING = "none"


class ReviewResult(StrEnum):
    """How a review ended. ERROR: nobody could say, or it was none."""

    ALLOWED = "allowed"
    DENIED = "denied"
    ERROR = "error"


class AdmissionMetrics(Collector):
    """All families. Labels name what there is, never what somebody sent."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reviews: Counter[tuple[str, str, str]] = Counter()
        self._expiry: float | None = None
        registry.register(self)

    def reviewed(self, kind: str, operation: str, result: ReviewResult) -> None:
        """Count one answer."""
        self._reviews[kind, operation, result.value] += 1

    def malformed(self) -> None:
        """Count what was no review."""
        self._reviews[_NOTHING, _NOTHING, ReviewResult.ERROR.value] += 1

    def serves_until(self, moment: float) -> None:
        """The certificate that is served now ends then (Unix time)."""
        self._expiry = moment

    def collect(self) -> Iterator[Metric]:
        """Every family. Runs in another thread: the counter is copied before it changes."""
        reviews = CounterMetricFamily(
            "connectors_controller_admission_requests",
            "Admission reviews, by how they ended.",
            labels=("kind", "operation", "result"),
        )
        for labels, count in list(self._reviews.items()):
            reviews.add_metric(labels, count)
        yield reviews
        expiry = GaugeMetricFamily(
            "connectors_controller_webhook_certificate_expiry_timestamp_seconds",
            "When the certificate that the webhook serves ends, as Unix time; absent while it serves none.",
        )
        if self._expiry is not None:
            expiry.add_metric((), self._expiry)
        yield expiry
