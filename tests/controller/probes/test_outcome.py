from __future__ import annotations

from connectors.objects.conditions import ConditionStatus
from connectors.objects.reasons import ConditionReason
from controller.probes.outcome import PASSED, failed


def test_what_counts_as_failed() -> None:
    found = failed(ConditionReason.CONNECTION_FAILED, "refused")
    assert found.failed
    assert (found.status, found.reason, found.message) == (ConditionStatus.FALSE, "ConnectionFailed", "refused")
    assert not PASSED.failed
