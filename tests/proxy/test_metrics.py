from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from connectors.objects.ceilings import Ceiling
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason
from connectors.process.distribution import AT_ONCE, Distribution
from proxy.callers.answers import AnswerSource
from proxy.metrics import BUCKETS, NO_CONNECTOR, ProxyMetrics
from proxy.slots import Closed, Slots
from tests.proxy.test_slots import Held

KEY = ConnectorKey("team", "tool")
PLACE = {"namespace": "team", "connector": "tool"}


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> ProxyMetrics:
    return ProxyMetrics(registry)


def test_the_end_of_the_certificate_is_shown_where_there_is_one(
    registry: CollectorRegistry, metrics: ProxyMetrics
) -> None:
    assert registry.get_sample_value("connectors_proxy_tls_certificate_expiry_seconds") is None
    metrics.serves_until(1.5)
    assert registry.get_sample_value("connectors_proxy_tls_certificate_expiry_seconds") == 1.5


def test_the_names_of_the_contract(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    metrics.of(KEY).count(("generic", b"GET", 200), 0.0, None, 0, 0)
    text = generate_latest(registry).decode()
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert types == {
        "connectors_proxy_connection_memory_bytes": "gauge",
        "connectors_proxy_requests_total": "counter",
        "connectors_proxy_request_duration_seconds": "histogram",
        "connectors_proxy_upstream_duration_seconds": "histogram",
        "connectors_proxy_bytes_total": "counter",
        "connectors_proxy_refusals_total": "counter",
        "connectors_proxy_limited_requests_total": "counter",
        "connectors_proxy_audit_records_lost_total": "counter",
        "connectors_proxy_tls_certificate_expiry_seconds": "gauge",
        "connectors_proxy_requests_in_flight": "gauge",
        "connectors_proxy_client_connections": "gauge",
        "connectors_proxy_client_connections_closed_total": "counter",
        "connectors_proxy_upstream_connections": "gauge",
        "connectors_proxy_snapshot_generation": "gauge",
        "connectors_proxy_snapshot_age_seconds": "gauge",
    }


@pytest.mark.parametrize(
    ("method", "label"),
    [(b"GET", "GET"), (b"TRACE", "TRACE"), (b"PROPFIND", "other"), (b"get", "other"), (b"X" * 9, "other")],
)
def test_methods_stay_few(registry: CollectorRegistry, metrics: ProxyMetrics, method: bytes, label: str) -> None:
    metrics.of(KEY).count(("generic", method, 200), 0.0, None, 0, 0)
    metrics.of(KEY).count(("generic", method, 200), 0.0, None, 0, 0)
    labels = {**PLACE, "connector_class": "generic", "method": label, "code": "200"}
    assert registry.get_sample_value("connectors_proxy_requests_total", labels) == 2


def test_requests_without_a_connector_share_empty_labels(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    metrics.of(NO_CONNECTOR).count(("", b"GET", 404), 0.0, None, 0, 0)
    labels = {"namespace": "", "connector": "", "connector_class": "", "method": "GET", "code": "404"}
    assert registry.get_sample_value("connectors_proxy_requests_total", labels) == 1


def test_requests_are_counted_with_their_bytes_and_times(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    numbers = metrics.of(KEY)
    for upstream in (0.25, None):
        numbers.count(("generic", b"GET", 200), 0.5, upstream, 3, 4)
    value = registry.get_sample_value
    labels = {**PLACE, "connector_class": "generic", "method": "GET", "code": "200"}
    assert value("connectors_proxy_requests_total", labels) == 2
    assert value("connectors_proxy_bytes_total", {**PLACE, "direction": "in"}) == 6
    assert value("connectors_proxy_bytes_total", {**PLACE, "direction": "out"}) == 8
    assert value("connectors_proxy_request_duration_seconds_count", PLACE) == 2
    assert value("connectors_proxy_upstream_duration_seconds_count", PLACE) == 1
    for _ in range(3 * AT_ONCE):
        numbers.count(("generic", b"GET", 200), 0.5, 0.25, 0, 0)
    assert value("connectors_proxy_request_duration_seconds_count", PLACE) == 2 + 3 * AT_ONCE
    assert value("connectors_proxy_upstream_duration_seconds_sum", PLACE) == 0.25 * (1 + 3 * AT_ONCE)
    assert len(numbers.duration.fresh) < AT_ONCE, "what is counted is not kept"
    assert len(numbers.upstream_duration.fresh) < AT_ONCE


def test_t33_what_a_connector_has_too_much_of_is_counted(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    name, labels = "connectors_proxy_limited_requests_total", {**PLACE, "limit": "requests"}
    metrics.of(KEY).count(("generic", b"GET", 200), 0.0, None, 0, 0)
    assert registry.get_sample_value(name, labels) is None, "no series of Connectors that were never at a limit"
    for _ in range(2):
        metrics.of(KEY).limit(Ceiling.REQUESTS)
    assert registry.get_sample_value(name, labels) == 2
    assert registry.get_sample_value(name, {**labels, "limit": "upstream_connections"}) is None
    metrics.snapshot_serves(2, [KEY], ())
    assert registry.get_sample_value(name, labels) is None, "it goes with its Connector"


def test_bytes_and_durations(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    numbers = metrics.of(KEY)
    numbers.bytes_in += 3
    numbers.bytes_out += 4
    numbers.duration.observe(0.5)
    numbers.upstream_duration.observe(0.25)
    for direction, count in (("in", 3), ("out", 4)):
        sample = registry.get_sample_value("connectors_proxy_bytes_total", {**PLACE, "direction": direction})
        assert sample == count
    assert registry.get_sample_value("connectors_proxy_request_duration_seconds_sum", PLACE) == 0.5
    assert registry.get_sample_value("connectors_proxy_upstream_duration_seconds_sum", PLACE) == 0.25
    assert registry.get_sample_value("connectors_proxy_upstream_duration_seconds_count", PLACE) == 1


@pytest.mark.parametrize(
    ("seconds", "least"),
    [(0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (300.0, "300.0"), (300.1, "+Inf")],
)
def test_a_bucket_holds_what_is_up_to_its_bound(seconds: float, least: str) -> None:
    distribution = Distribution(BUCKETS)
    distribution.observe(seconds)
    counts = distribution.cumulative()
    assert [bound for bound, _ in counts] == [*map(str, BUCKETS), "+Inf"]
    assert next(bound for bound, count in counts if count) == least
    assert counts[-1] == ("+Inf", 1.0)


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.value)
def test_every_reason_is_there_from_the_start(
    registry: CollectorRegistry, metrics: ProxyMetrics, reason: Reason
) -> None:
    name, labels = "connectors_proxy_refusals_total", {"reason": reason.value}
    assert registry.get_sample_value(name, labels) == 0
    metrics.refused(reason)
    assert registry.get_sample_value(name, labels) == 1


def test_gauges(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    metrics.in_flight += 3
    slots = Slots(1, 0)
    assert slots.take(Held(), "192.0.2.1", 0.0) is None
    assert slots.take(Held(), "192.0.2.1", 0.0) is Closed.NO_ROOM
    metrics.connections(slots, lambda: (1, 2))
    assert registry.get_sample_value("connectors_proxy_client_connections") == 1
    closed = "connectors_proxy_client_connections_closed_total"
    assert [registry.get_sample_value(closed, {"reason": why}) for why in Closed] == [0, 1, 0, 0]
    slots.held = 4096
    assert registry.get_sample_value("connectors_proxy_connection_memory_bytes") == 4096
    metrics.snapshot_serves(7, (), ())
    assert registry.get_sample_value("connectors_proxy_requests_in_flight") == 3
    for state, count in (("active", 1), ("idle", 2)):
        assert registry.get_sample_value("connectors_proxy_upstream_connections", {"state": state}) == count
    assert registry.get_sample_value("connectors_proxy_snapshot_generation") == 7
    age = registry.get_sample_value("connectors_proxy_snapshot_age_seconds")
    assert age is not None
    assert 0 <= age < 5


def test_the_numbers_of_a_connector_go_with_it(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    for key in (KEY, NO_CONNECTOR, ConnectorKey("team", "gone")):
        metrics.of(key).count(("generic", b"GET", 200), 0.0, None, 0, 0)
    metrics.snapshot_serves(2, (KEY, ConnectorKey("team", "gone")), {KEY})
    assert metrics.of(KEY).requests
    assert metrics.of(NO_CONNECTOR).requests
    assert "gone" not in generate_latest(registry).decode()
    metrics.of(ConnectorKey("team", "gone")).count(("generic", b"GET", 200), 0.0, None, 0, 0)
    assert "gone" in generate_latest(registry).decode(), "a request that ran when it went"
    metrics.snapshot_serves(3, (), {KEY})
    assert "gone" not in generate_latest(registry).decode()


def test_answers_about_callers_by_where_they_came_from(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    metrics.auth_answers({"token": Counter({AnswerSource.API: 2}), "access": Counter({AnswerSource.STALE: 1})})
    found = {
        (question, source.value): registry.get_sample_value(
            "connectors_proxy_auth_answers_total", {"question": question, "source": source.value}
        )
        for question in ("token", "access")
        for source in AnswerSource
    }
    assert {key for key, value in found.items() if value} == {("token", "api"), ("access", "stale")}
    assert found["token", "api"] == 2
    assert None not in found.values()


def test_lost_audit_records(registry: CollectorRegistry, metrics: ProxyMetrics) -> None:
    assert registry.get_sample_value("connectors_proxy_audit_records_lost_total") == 0
    metrics.lose_audit_records(2)
    metrics.lose_audit_records(1)
    assert registry.get_sample_value("connectors_proxy_audit_records_lost_total") == 3
