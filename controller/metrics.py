"""The controller's metrics (docs/metrics.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.objects.conditions import Condition
from connectors.objects.connector import ConnectorKey

# Seconds: from a look that finds nothing to do to a write that times out twice.
DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ReconcileResult(StrEnum):
    """How a reconcile ended."""

    UNCHANGED = "unchanged"
    WRITTEN = "written"
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class ControllerMetrics(Collector):
    """All families. The conditions of Connectors, which come and go together, are collected when scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._results = Counter(
            "connectors_controller_reconcile",
            "Looks at a Connector or a class, by how they ended.",
            ("result",),
            registry=registry,
        )
        for result in ReconcileResult:
            # From the start, so that a rate over the first of them is none too low.
            self._results.labels(result.value)
        self._durations = Histogram(
            "connectors_controller_reconcile_duration_seconds",
            "How long one look took, with its writes.",
            buckets=DURATIONS,
            registry=registry,
        )
        self._conditions: dict[ConnectorKey, tuple[tuple[str, str], ...]] = {}
        registry.register(self)
        self._leads = Gauge(
            "connectors_controller_leader", "Whether this replica is the one that writes.", registry=registry
        )
        self._depth = Gauge("connectors_controller_queue_depth", "Objects that wait for a worker.", registry=registry)
        self._writes = Counter(
            "connectors_controller_writes", "Writes sent to the API server.", ("resource", "verb"), registry=registry
        )
        self._dropped_events = Counter(
            "connectors_controller_events_dropped", "Events that could not be written.", registry=registry
        )

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        """Count one look at one object."""
        self._results.labels(result.value).inc()
        self._durations.observe(seconds)

    def wrote(self, resource: str, verb: str) -> None:
        """Count a write that is sent, whatever the answer."""
        self._writes.labels(resource, verb).inc()

    def dropped_event(self) -> None:
        """Count an Event that will not be seen."""
        self._dropped_events.inc()

    def judged(self, key: ConnectorKey, conditions: Sequence[Condition]) -> None:
        """The conditions of a Connector as they are now."""
        self._conditions[key] = tuple((condition.type.value, condition.status.value) for condition in conditions)

    def gone(self, key: ConnectorKey) -> None:
        """Its series end."""
        self._conditions.pop(key, None)

    def follows(self) -> None:
        """Another replica knows the conditions now."""
        self._conditions.clear()

    def watch(self, leads: Callable[[], bool], depth: Callable[[], int]) -> None:
        """Where the gauges come from. Both are asked at each scrape, in another thread."""
        self._leads.set_function(lambda: float(leads()))
        self._depth.set_function(lambda: float(depth()))

    def collect(self) -> Iterator[Metric]:
        """The family of conditions. Runs in another thread: the dict is copied before it changes."""
        labels = ("namespace", "connector", "type", "status")
        family = GaugeMetricFamily(
            "connectors_controller_connector_condition", "1 for the status that a condition has.", labels=labels
        )
        for key, conditions in list(self._conditions.items()):
            for kind, status in conditions:
                family.add_metric((key.namespace, key.name, kind, status), 1)
        yield family
