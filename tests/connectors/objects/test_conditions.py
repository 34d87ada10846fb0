from __future__ import annotations

import msgspec

from connectors.objects.conditions import Condition, ConditionStatus, ConditionType, ConnectorStatus


def test_a_condition_is_found_by_its_type() -> None:
    ready = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE)
    status = ConnectorStatus(conditions=(ready,))
    assert status.condition(ConditionType.READY) is ready
    assert status.condition(ConditionType.SECRET_READY) is None


def test_a_status_is_written_as_the_api_server_would() -> None:
    ready = Condition(type=ConditionType.READY, status=ConditionStatus.TRUE, last_transition_time="t")
    assert msgspec.json.decode(msgspec.json.encode(ConnectorStatus(observed_generation=2, conditions=(ready,)))) == {
        "observedGeneration": 2,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "t"}],
    }
