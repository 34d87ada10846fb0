from __future__ import annotations

from prometheus_client import CollectorRegistry

from controller.admission.metrics import AdmissionMetrics, ReviewResult

REVIEWS = "connectors_controller_admission_requests_total"
EXPIRY = "connectors_controller_webhook_certificate_expiry_timestamp_seconds"


def test_reviews() -> None:
    registry = CollectorRegistry()
    metrics = AdmissionMetrics(registry)
    labels = {"kind": "Connector", "operation": "CREATE", "result": "denied"}
    assert registry.get_sample_value(REVIEWS, labels) is None
    metrics.reviewed("Connector", "CREATE", ReviewResult.DENIED)
    metrics.reviewed("Connector", "CREATE", ReviewResult.DENIED)
    metrics.malformed()
    assert registry.get_sample_value(REVIEWS, labels) == 2
    nothing = {"kind": "none", "operation": "none", "result": "error"}
    assert registry.get_sample_value(REVIEWS, nothing) == 1


def test_the_end_of_the_certificate() -> None:
    registry = CollectorRegistry()
    metrics = AdmissionMetrics(registry)
    assert registry.get_sample_value(EXPIRY) is None
    metrics.serves_until(1234.0)
    assert registry.get_sample_value(EXPIRY) == 1234.0
