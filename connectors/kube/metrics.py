"""Metrics of requests and watches (docs/metrics.md), under the prefix of the process that makes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.kube.client import KubeClient
from connectors.kube.reflector import Reflector


class KubeMetrics(Collector):
    """The families of one client and its reflectors. `prefix`: connectors_proxy or connectors_controller.

    Where several reflectors follow one resource, the worst of them counts.
    """

    def __init__(
        self, registry: CollectorRegistry, prefix: str, client: KubeClient, reflectors: Iterable[Reflector] = ()
    ) -> None:
        self._prefix = prefix
        self._client = client
        self._reflectors = list(reflectors)
        registry.register(self)

    def follow(self, reflector: Reflector) -> None:
        """One more reflector."""
        self._reflectors.append(reflector)

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus_client's Collector). Runs in another thread: dicts are copied before they change."""
        requests = CounterMetricFamily(
            f"{self._prefix}_kube_requests",
            "Requests to the API server, by HTTP status; code 0: no answer.",
            labels=("verb", "resource", "code"),
        )
        for labels, count in list(self._client.requests.items()):
            requests.add_metric(labels, count)
        yield requests
        connected = GaugeMetricFamily(
            f"{self._prefix}_watch_connected", "Whether a watch on the API server is open.", labels=("resource",)
        )
        away = GaugeMetricFamily(
            f"{self._prefix}_watch_disconnected_seconds", "For how long there has been no watch.", labels=("resource",)
        )
        restarts = CounterMetricFamily(
            f"{self._prefix}_watch_restarts", "Watches opened after the first one.", labels=("resource",)
        )
        for plural, group in self._by_resource().items():
            connected.add_metric((plural,), int(all(reflector.health.connected for reflector in group)))
            away.add_metric((plural,), max(reflector.disconnected_seconds for reflector in group))
            restarts.add_metric((plural,), sum(max(reflector.restarts, 0) for reflector in group))
        yield from (connected, away, restarts)

    def _by_resource(self) -> dict[str, list[Reflector]]:
        groups: dict[str, list[Reflector]] = {}
        for reflector in list(self._reflectors):
            groups.setdefault(reflector.watched.resource.plural, []).append(reflector)
        return groups
