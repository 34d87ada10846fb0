"""The controller's metrics (contract: "Metrics"): plain numbers, put into prometheus_client's shapes when scraped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.objects.conditions import Condition
from connectors.objects.connector import ConnectorKey
from connectors.process.distribution import Distribution

DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds: from a look that finds nothing to do to a write that times out twice."""


class ReconcileResult(StrEnum):
    """How a reconcile ended."""

    UNCHANGED = "unchanged"
    WRITTEN = "written"
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


class ControllerMetrics(Collector):
    """All families."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._results: Counter[ReconcileResult] = Counter()
        self._durations = Distribution(DURATIONS)
        self._writes: Counter[tuple[str, str]] = Counter()
        self._dropped_events = 0
        self._conditions: dict[ConnectorKey, tuple[tuple[str, str], ...]] = {}
        self._leads: Callable[[], bool] = lambda: False
        self._depth: Callable[[], int] = lambda: 0
        registry.register(self)

    def reconciled(self, result: ReconcileResult, seconds: float) -> None:
        """Count one look at one object."""
        self._results[result] += 1
        self._durations.observe(seconds)

    def wrote(self, resource: str, verb: str) -> None:
        """Count a write that is sent, whatever the answer."""
        self._writes[resource, verb] += 1

    def dropped_event(self) -> None:
        """Count an Event that nobody will see."""
        self._dropped_events += 1

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
        """Where the gauges come from."""
        self._leads, self._depth = leads, depth

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus_client's Collector). Runs in another thread: dicts are copied before they change."""
        results = CounterMetricFamily(
            "connectors_controller_reconcile", "Looks at a Connector or a class, by how they ended.", labels=("result",)
        )
        for result in ReconcileResult:
            results.add_metric((result.value,), self._results[result])
        yield results
        yield self._duration()
        yield self._condition()
        yield GaugeMetricFamily(
            "connectors_controller_leader", "Whether this replica is the one that writes.", value=int(self._leads())
        )
        yield GaugeMetricFamily(
            "connectors_controller_queue_depth", "Objects that wait for a worker.", value=self._depth()
        )
        writes = CounterMetricFamily(
            "connectors_controller_writes", "Writes sent to the API server.", labels=("resource", "verb")
        )
        for labels, count in list(self._writes.items()):
            writes.add_metric(labels, count)
        yield writes
        yield CounterMetricFamily(
            "connectors_controller_events_dropped", "Events that could not be written.", value=self._dropped_events
        )

    def _duration(self) -> Metric:
        family = HistogramMetricFamily(
            "connectors_controller_reconcile_duration_seconds", "How long one look took, with its writes.", labels=()
        )
        family.add_metric((), self._durations.cumulative(), self._durations.total)
        return family

    def _condition(self) -> Metric:
        labels = ("namespace", "connector", "type", "status")
        family = GaugeMetricFamily(
            "connectors_controller_connector_condition", "1 for the status that a condition has.", labels=labels
        )
        for key, conditions in list(self._conditions.items()):
            for kind, status in conditions:
                family.add_metric((key.namespace, key.name, kind, status), 1)
        return family
