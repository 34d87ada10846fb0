from __future__ import annotations

from prometheus_client import CollectorRegistry

from connectors.objects.reasons import ConditionReason
from controller.probes.metrics import ProbeMetrics
from controller.probes.outcome import PASSED, Purpose, failed


def test_families() -> None:
    registry = CollectorRegistry()
    metrics = ProbeMetrics(registry)
    metrics.probed(Purpose.LIVENESS, PASSED, 0.02)
    metrics.probed(Purpose.AUTH, failed(ConditionReason.AUTHENTICATION_FAILED, "401"), 3.0)
    value = registry.get_sample_value
    seconds = "connectors_controller_probe_duration_seconds"
    assert value(f"{seconds}_count", {"probe": "liveness"}) == 1
    assert value(f"{seconds}_sum", {"probe": "auth"}) == 3.0
    assert value(f"{seconds}_bucket", {"probe": "liveness", "le": "0.025"}) == 1
    assert value(f"{seconds}_bucket", {"probe": "liveness", "le": "0.01"}) == 0
    assert value("connectors_controller_probes_total", {"probe": "liveness", "result": "ok"}) == 1
    assert value("connectors_controller_probes_total", {"probe": "auth", "result": "AuthenticationFailed"}) == 1
