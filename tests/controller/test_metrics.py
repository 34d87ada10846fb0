from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from connectors.objects.conditions import ConditionType
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import ConditionReason
from controller.conditions import false, true
from controller.metrics import ControllerMetrics, ReconcileResult

KEY = ConnectorKey("team", "repo")
PLACE = {"namespace": "team", "connector": "repo"}


def test_reconciles() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    metrics.reconciled(ReconcileResult.WRITTEN, 0.002)
    metrics.reconciled(ReconcileResult.WRITTEN, 3.0)
    metrics.reconciled(ReconcileResult.CONFLICT, 60.0)
    assert registry.get_sample_value("connectors_controller_reconcile_total", {"result": "written"}) == 2
    assert registry.get_sample_value("connectors_controller_reconcile_total", {"result": "unchanged"}) == 0
    name = "connectors_controller_reconcile_duration_seconds"
    assert registry.get_sample_value(f"{name}_bucket", {"le": "0.0025"}) == 1
    assert registry.get_sample_value(f"{name}_bucket", {"le": "10.0"}) == 2
    assert registry.get_sample_value(f"{name}_bucket", {"le": "+Inf"}) == 3
    assert registry.get_sample_value(f"{name}_sum") == 63.002


def test_conditions_follow_the_connector() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    name, secret = "connectors_controller_connector_condition", ConditionType.SECRET_READY
    good, bad = ({**PLACE, "type": "SecretReady", "status": status} for status in ("True", "False"))
    metrics.judged(KEY, [true(secret)])
    assert registry.get_sample_value(name, good) == 1
    metrics.judged(KEY, [false(secret, ConditionReason.SECRET_NOT_FOUND, "m")])
    assert registry.get_sample_value(name, good) is None
    assert registry.get_sample_value(name, bad) == 1
    metrics.gone(KEY)
    metrics.gone(KEY)
    assert registry.get_sample_value(name, bad) is None
    metrics.judged(KEY, [true(secret)])
    metrics.follows()
    assert registry.get_sample_value(name, good) is None


def test_gauges_and_counters() -> None:
    registry = CollectorRegistry()
    metrics = ControllerMetrics(registry)
    assert registry.get_sample_value("connectors_controller_leader") == 0
    metrics.watch(lambda: True, lambda: 7)
    metrics.wrote("services", "create")
    metrics.dropped_event()
    assert registry.get_sample_value("connectors_controller_leader") == 1
    assert registry.get_sample_value("connectors_controller_queue_depth") == 7
    assert registry.get_sample_value("connectors_controller_events_dropped_total") == 1
    labels = {"resource": "services", "verb": "create"}
    assert registry.get_sample_value("connectors_controller_writes_total", labels) == 1
    assert b"connectors_controller_leader 1.0" in generate_latest(registry)
