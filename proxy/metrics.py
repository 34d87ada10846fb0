"""The data plane's metrics (contract: "Metrics"). Labels name Connectors that exist, never what a caller sent."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from connectors.model.connector import Connector
from connectors.model.reasons import Reason

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0)
"""Seconds: from a cached answer over loopback to a large push."""


class ProxyMetrics:
    """All families, registered once; children are looked up by prometheus_client and cached per Connector here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        place = ("namespace", "connector")
        self._requests = Counter(
            "connectors_proxy_requests",
            "Requests, by what the client got.",
            (*place, "connector_class", "method", "code"),
            registry=registry,
        )
        self._duration = Histogram(
            "connectors_proxy_request_duration_seconds",
            "From a request's head to the end of its response.",
            place,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._upstream_duration = Histogram(
            "connectors_proxy_upstream_duration_seconds",
            "From a request's head to the first byte of the tool's answer.",
            place,
            buckets=_BUCKETS,
            registry=registry,
        )
        self._bytes = Counter(
            "connectors_proxy_bytes",
            "Body bytes relayed, with their framing; in: from clients, out: to clients.",
            (*place, "direction"),
            registry=registry,
        )
        self._refusals = Counter(
            "connectors_proxy_refusals", "Requests that the proxy answered itself.", ("reason",), registry=registry
        )
        in_flight = Gauge("connectors_proxy_requests_in_flight", "Requests that are being served.", registry=registry)
        self.in_flight = 0
        # Asked for when scraped: setting a gauge costs more than a step of the request path.
        in_flight.set_function(lambda: self.in_flight)
        self._upstream_connections = Gauge(
            "connectors_proxy_upstream_connections", "Connections toward tools.", ("state",), registry=registry
        )
        self._generation = Gauge(
            "connectors_proxy_snapshot_generation", "How many snapshots have served so far.", registry=registry
        )
        self._age = Gauge(
            "connectors_proxy_snapshot_age_seconds", "Since the current snapshot began to serve.", registry=registry
        )
        for reason in Reason:
            self._refusals.labels(reason.value)
        self._children: dict[tuple[str, ...], ConnectorMetrics] = {}

    def of(self, connector: Connector | None) -> ConnectorMetrics:
        """The families' children for one Connector; all without one share the empty labels."""
        if connector is None:
            labels = ("", "", "")
        else:
            labels = (connector.metadata.namespace, connector.metadata.name, connector.spec.connector_class_name)
        children = self._children.get(labels)
        if children is None:
            place = labels[:2]
            children = self._children[labels] = ConnectorMetrics(
                lambda method, code: self._requests.labels(*labels, method, code),
                self._duration.labels(*place),
                self._upstream_duration.labels(*place),
                self._bytes.labels(*place, "in"),
                self._bytes.labels(*place, "out"),
            )
        return children

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._refusals.labels(reason.value).inc()

    def connections(self, active: Callable[[], int], idle: Callable[[], int]) -> None:
        """Where the counts of upstream connections come from."""
        self._upstream_connections.labels("active").set_function(active)
        self._upstream_connections.labels("idle").set_function(idle)

    def snapshot_serves(self, generation: int) -> None:
        """A new snapshot serves from now on."""
        began = time.monotonic()
        self._generation.set(generation)
        self._age.set_function(lambda: time.monotonic() - began)


class ConnectorMetrics:
    """Children for one Connector, looked up once: a lookup by labels costs more than the increment."""

    def __init__(
        self,
        requests: Callable[[str, str], Counter],
        duration: Histogram,
        upstream_duration: Histogram,
        bytes_in: Counter,
        bytes_out: Counter,
    ) -> None:
        self._requests = requests
        self._by_code: dict[tuple[bytes, int], Counter] = {}
        self.duration = duration
        self.upstream_duration = upstream_duration
        self.bytes_in = bytes_in
        self.bytes_out = bytes_out

    def count(self, method: bytes, code: int) -> None:
        """Count a request; a method outside of the standard set counts as `other`, so that labels stay few."""
        method = method if method in METHODS else b"other"
        child = self._by_code.get((method, code))
        if child is None:
            child = self._requests(method.decode(), str(code))
            self._by_code[method, code] = child
        child.inc()
