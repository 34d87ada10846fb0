from __future__ import annotations

from connectors.model.conditions import ConditionStatus
from connectors.model.reasons import ConditionReason
from controller.probes.outcome import PASSED, failed


def test_what_counts_as_failed() -> None:
    found = failed(ConditionReason.CONNECTION_FAILED, "refused")
    assert found.failed
    assert (found.status, found.reason, found.message) == (ConditionStatus.FALSE, "ConnectionFailed", "refused")
    assert not PASSED.failed
