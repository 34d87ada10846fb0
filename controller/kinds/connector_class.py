"""The plan for a ConnectorClass: object -> status. Pure; nothing here reaches the network."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.model.conditions import Condition, ConditionType, ConnectorClassStatus
from connectors.model.connector_class import ConnectorClass
from connectors.model.reasons import ConditionReason
from connectors.model.violation import Violation, errors
from controller.conditions import false, ready, settle, true, unknown


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be true of a ConnectorClass."""

    status: ConnectorClassStatus


def plan(
    connector_class: ConnectorClass,
    violations: tuple[Violation, ...],
    previous: ConnectorClassStatus | None,
    now: str,
) -> Plan:
    """The status that a class should have. `now` is RFC 3339; `previous` only lends its transition times."""
    children = [_api_ready(connector_class), _proxy_ready(connector_class)]
    fatal = errors(violations)
    conditions = [*children, _invalid(fatal) if fatal else ready(children)]
    status = ConnectorClassStatus(
        observed_generation=connector_class.metadata.generation,
        conditions=settle(conditions, previous.conditions if previous else (), now),
    )
    return Plan(status)


def _api_ready(connector_class: ConnectorClass) -> Condition:
    if connector_class.spec.api is None:
        return true(ConditionType.API_READY, ConditionReason.NON_API)
    return unknown(ConditionType.API_READY, ConditionReason.PROBE_PENDING, "not probed yet")


def _proxy_ready(connector_class: ConnectorClass) -> Condition:
    return true(ConditionType.PROXY_READY, None if connector_class.spec.proxy else ConditionReason.NON_PROXY)


def _invalid(fatal: tuple[Violation, ...]) -> Condition:
    return false(ConditionType.READY, ConditionReason.CONNECTOR_CLASS_INVALID, str(fatal[0]))
