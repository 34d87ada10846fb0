"""The webhook's metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_NOTHING = "none"
_MADE_ROOM, _NO_ROOM = "made_room", "no_room"


class ReviewResult(StrEnum):
    """How a review ended. ERROR: it could not be decided, or was not a review."""

    ALLOWED = "allowed"
    DENIED = "denied"
    ERROR = "error"


class AdmissionMetrics(Collector):
    """All families. Labels name what exists, never what a client sent."""

    def __init__(self, registry: CollectorRegistry, judge_restarts: Callable[[], int] = lambda: 0) -> None:
        """`judge_restarts`: how many of the processes that judge took the place of another one."""
        self._judge_restarts = judge_restarts
        self._reviews = Counter(
            "connectors_controller_admission_requests",
            "Admission reviews, by how they ended.",
            ("kind", "operation", "result"),
            registry=registry,
        )
        self._closed = Counter(
            "connectors_controller_webhook_connections_closed",
            "Connections to the webhook that were closed since all places were taken.",
            ("reason",),
            registry=registry,
        )
        for reason in (_MADE_ROOM, _NO_ROOM):
            self._closed.labels(reason)
        self._handshakes = Counter(
            "connectors_controller_webhook_handshake_failures",
            "Connections to the webhook whose TLS handshake failed.",
            registry=registry,
        )
        self._expiry: float | None = None
        registry.register(self)

    def reviewed(self, kind: str, operation: str, result: ReviewResult) -> None:
        """Count one answer."""
        self._reviews.labels(kind, operation, result.value).inc()

    def malformed(self) -> None:
        """Count a request that was not a review."""
        self.reviewed(_NOTHING, _NOTHING, ReviewResult.ERROR)

    def made_room(self) -> None:
        """Count a connection that was closed for a new one."""
        self._closed.labels(_MADE_ROOM).inc()

    def refused_connection(self) -> None:
        """Count a new connection for which no other one was closed: all had a review running."""
        self._closed.labels(_NO_ROOM).inc()

    def failed_handshake(self) -> None:
        """Count a connection that never could ask."""
        self._handshakes.inc()

    def serves_until(self, moment: float) -> None:
        """The certificate that is served now ends then (Unix time)."""
        self._expiry = moment

    def collect(self) -> Iterator[Metric]:
        """What others know. A Gauge would say 0 while there is no certificate, which alerts would take for 1970."""
        yield CounterMetricFamily(
            "connectors_controller_webhook_judge_restarts",
            "Processes that judge reviews and were started in place of one that took too long or ended.",
            value=self._judge_restarts(),
        )
        family = GaugeMetricFamily(
            "connectors_controller_webhook_certificate_expiry_timestamp_seconds",
            "When the certificate that the webhook serves ends, as Unix time; absent while it serves none.",
        )
        if self._expiry is not None:
            family.add_metric((), self._expiry)
        yield family
