"""The data plane's metrics (docs/metrics.md). Labels name Connectors that exist, never what a caller sent.

Counted in plain numbers and put into prometheus_client's shapes when scraped: its own counters take a lock each time,
which for the dozen of a request costs more than the decision.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.objects.ceilings import Ceiling
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason
from connectors.process.distribution import AT_ONCE, Distribution
from connectors.trust import Authorities
from proxy.callers.answers import AnswerSource
from proxy.slots import Slots

METHODS = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"CONNECT"})
# Seconds: from a cached answer over loopback to a large push.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0)

# The labels of requests that name no Connector that there is.
NO_CONNECTOR = ConnectorKey("", "")

_PLACE = ("namespace", "connector")


class ConnectorMetrics:
    """The numbers of one Connector."""

    __slots__ = ("bytes_in", "bytes_out", "duration", "limited", "requests", "upstream_duration")

    def __init__(self) -> None:
        # How many, in a list of one: what is looked up once can be raised.
        self.requests: dict[tuple[str, bytes, int], list[int]] = {}
        self.duration = Distribution(BUCKETS)
        self.upstream_duration = Distribution(BUCKETS)
        self.bytes_in = 0
        self.bytes_out = 0
        # None for most Connectors.
        self.limited: Counter[Ceiling] | None = None

    def count(
        self, label: tuple[str, bytes, int], duration: float, upstream: float | None, bytes_in: int, bytes_out: int
    ) -> None:
        """Count a request by its class, method and status. It took `duration` seconds, the tool `upstream` of them.

        A method outside of the standard set counts as `other`, so that labels stay few.
        """
        requests, fresh = self.requests, self.duration.fresh
        number = requests.get(label)
        if number is None:
            connector_class, method, code = label
            number = requests.setdefault((connector_class, method if method in METHODS else b"other", code), [0])
        number[0] += 1
        fresh.append(duration)
        if upstream is not None:
            self.upstream_duration.fresh.append(upstream)
        # There is an upstream's for a part of the requests, so never more of them.
        if len(fresh) >= AT_ONCE:
            self.duration.fold()
            self.upstream_duration.fold()
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    def limit(self, ceiling: Ceiling) -> None:
        """Count a request that got 429, since its Connector has reached a limit of its own."""
        if self.limited is None:
            self.limited = Counter()
        self.limited[ceiling] += 1


class ProxyMetrics(Collector):
    """All families. `in_flight` counts requests that are being served, `audit_lost` audit records that were lost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.in_flight = 0
        self.audit_lost = 0
        self._tls_until: float | None = None
        self._connectors: dict[ConnectorKey, ConnectorMetrics] = {}
        self._begun: list[ConnectorKey] = []
        self._refusals: Counter[Reason] = Counter()
        self._connections: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self._slots = Slots(0, 0)
        self._auth_answers: Mapping[str, Mapping[AnswerSource, int]] = {}
        self._generation = 0
        self._serving_since = time.monotonic()
        registry.register(self)

    def of(self, key: ConnectorKey) -> ConnectorMetrics:
        """The numbers of one Connector; all requests without one share NO_CONNECTOR."""
        found = self._connectors.get(key)
        if found is None:
            found = self._connectors[key] = ConnectorMetrics()
            self._begun.append(key)
        return found

    def refused(self, reason: Reason) -> None:
        """Count a refusal."""
        self._refusals[reason] += 1

    def auth_answers(self, sources: Mapping[str, Mapping[AnswerSource, int]]) -> None:
        """Where the numbers of answers about callers come from, by what was asked."""
        self._auth_answers = sources

    def lose_audit_records(self, number: int) -> None:
        """Count audit records that could not be written."""
        self.audit_lost += number

    def serves_until(self, moment: float) -> None:
        """The certificate that clients are shown from now on ends then (Unix time)."""
        self._tls_until = moment

    def connections(self, slots: Slots, counts: Callable[[], tuple[int, int]]) -> None:
        """Where the numbers of clients' connections come from, and of active and idle ones toward tools."""
        self._slots, self._connections = slots, counts

    def snapshot_serves(self, generation: int, changed: Iterable[ConnectorKey], keys: Container[ConnectorKey]) -> None:
        """A new snapshot serves from now on; the numbers of Connectors that are gone go too, or they would pile up.

        `changed`: those that are other than before, or gone; `keys`: all that there are now.
        """
        # A request that was let through before its Connector went is counted later; its numbers go with the next one.
        for key in (*changed, *self._begun):
            if key not in keys and key != NO_CONNECTOR:
                self._connectors.pop(key, None)
        self._begun.clear()
        self._generation = generation
        self._serving_since = time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus_client's Collector). Runs in another thread: dicts are copied before they change."""
        connectors = list(self._connectors.items())
        yield _requests(connectors)
        yield _durations(
            "connectors_proxy_request_duration_seconds",
            "From a request's head to the end of its response.",
            ((key, numbers.duration) for key, numbers in connectors),
        )
        yield _durations(
            "connectors_proxy_upstream_duration_seconds",
            "From a request's head to the first byte of the tool's answer.",
            ((key, numbers.upstream_duration) for key, numbers in connectors),
        )
        yield _bytes(connectors)
        refusals = CounterMetricFamily(
            "connectors_proxy_refusals", "Requests that the proxy answered itself.", labels=("reason",)
        )
        for reason in Reason:
            refusals.add_metric((reason.value,), self._refusals[reason])
        yield refusals
        yield _limited(connectors)
        if self._auth_answers:
            yield _auth_answers(self._auth_answers)
        yield CounterMetricFamily(
            "connectors_proxy_audit_records_lost", "Audit records that could not be written.", value=self.audit_lost
        )
        yield _certificate(self._tls_until)
        yield GaugeMetricFamily(
            "connectors_proxy_requests_in_flight", "Requests that are being served.", value=self.in_flight
        )
        yield from _clients(self._slots)
        upstream = GaugeMetricFamily(
            "connectors_proxy_upstream_connections", "Connections toward tools.", labels=("state",)
        )
        for state, count in zip(("active", "idle"), self._connections(), strict=True):
            upstream.add_metric((state,), count)
        yield upstream
        yield GaugeMetricFamily(
            "connectors_proxy_snapshot_generation", "How many snapshots have served so far.", value=self._generation
        )
        age = time.monotonic() - self._serving_since
        yield GaugeMetricFamily(
            "connectors_proxy_snapshot_age_seconds", "Since the current snapshot began to serve.", value=age
        )


_Numbers = list[tuple[ConnectorKey, ConnectorMetrics]]


def _requests(connectors: _Numbers) -> Metric:
    labels = (*_PLACE, "connector_class", "method", "code")
    family = CounterMetricFamily("connectors_proxy_requests", "Requests, by what the client got.", labels=labels)
    for place, numbers in connectors:
        for (connector_class, method, code), (count,) in list(numbers.requests.items()):
            family.add_metric((*place, connector_class, method.decode("ascii"), str(code)), count)
    return family


def _limited(connectors: _Numbers) -> Metric:
    family = CounterMetricFamily(
        "connectors_proxy_limited_requests",
        "Requests that got 429 since their Connector has reached a limit of its own.",
        labels=(*_PLACE, "limit"),
    )
    for place, numbers in connectors:
        for ceiling, count in list((numbers.limited or {}).items()):
            family.add_metric((*place, ceiling.value), count)
    return family


def _durations(name: str, meaning: str, distributions: Iterable[tuple[ConnectorKey, Distribution]]) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=_PLACE)
    for key, distribution in distributions:
        family.add_metric(key, distribution.cumulative(), distribution.total)
    return family


def _auth_answers(sources: Mapping[str, Mapping[AnswerSource, int]]) -> Metric:
    family = CounterMetricFamily(
        "connectors_proxy_auth_answers",
        "Answers about callers (token: whose a token is; access: whether it may use a Connector), by where they came "
        "from: the API server, the cache, the cache beyond its time while the API server is away, nowhere, or refused "
        "since too many were no.",
        labels=("question", "source"),
    )
    for question, counts in sources.items():
        for source in AnswerSource:
            family.add_metric((question, source.value), counts.get(source, 0))
    return family


def _clients(slots: Slots) -> Iterator[Metric]:
    yield GaugeMetricFamily("connectors_proxy_client_connections", "Connections of clients.", value=len(slots))
    yield GaugeMetricFamily(
        "connectors_proxy_connection_memory_bytes",
        "Memory that client connections hold, with those to tools that their requests use; counted once a second.",
        value=slots.held,
    )
    closed = CounterMetricFamily(
        "connectors_proxy_client_connections_closed",
        "Connections of clients that were closed for want of room: they waited and made room, or were new and found "
        "none, in all or for their client; or for want of memory.",
        labels=("reason",),
    )
    for why, count in slots.closed.items():
        closed.add_metric((why.value,), count)
    yield closed


def _certificate(until: float | None) -> Metric:
    family = GaugeMetricFamily(
        "connectors_proxy_tls_certificate_expiry_seconds",
        "When the certificate that clients are shown ends, as Unix time; absent where they speak plain HTTP.",
    )
    if until is not None:
        family.add_metric((), until)
    return family


def _bytes(connectors: _Numbers) -> Metric:
    family = CounterMetricFamily(
        "connectors_proxy_bytes",
        "Body bytes relayed, with their framing; in: from clients, out: to clients.",
        labels=(*_PLACE, "direction"),
    )
    for (namespace, name), numbers in connectors:
        family.add_metric((namespace, name, "in"), numbers.bytes_in)
        family.add_metric((namespace, name, "out"), numbers.bytes_out)
    return family


class ProxyAuthorityMetrics(Collector):
    """When the CA certificates that the proxy trusts end: one series for each Secret with certificates."""

    def __init__(self, registry: CollectorRegistry, current: Callable[[], Authorities]) -> None:
        """`current` is asked at each scrape, in another thread."""
        self._current = current
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The one family; without a series while custom CAs are off."""
        family = GaugeMetricFamily(
            "connectors_proxy_ca_certificate_expiry_seconds",
            "When the first CA certificate of a Secret ends, as Unix time (global: trusted for all; connector: of "
            "spec.caCertSecretRef).",
            labels=("source", "namespace", "secret"),
        )
        for source, held in self._current().by_source.items():
            for authority in held:
                if (ends := authority.bundle.first_end) is not None:
                    family.add_metric((source, *authority.secret.key), ends)
        yield family
