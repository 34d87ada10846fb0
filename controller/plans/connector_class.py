"""The plan for a ConnectorClass: object and facts -> status and Events. Pure; nothing here reaches the network."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

from connectors.objects.conditions import (
    ClassApiStatus,
    Condition,
    ConditionType,
    ConnectorClassStatus,
    HttpAddress,
    ProxyStatus,
)
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import Violation, errors
from controller.conditions import Happening, false, happenings, probed_condition, ready, settle, true
from controller.destination import Destination, External, Platform, Unusable, api_destination, proxy_destination
from controller.probes.outcome import PENDING, Probes
from controller.service import ServiceKey


@dataclass(frozen=True, slots=True)
class NoCluster:
    """There are no Services: refs are not resolved, and one process is every class's proxy."""

    probes: Probes = PENDING


@dataclass(frozen=True, slots=True)
class ClusterServices:
    """A cluster. `existing`: those of the Services that the class refers to which are there."""

    platform: Platform
    existing: Set[ServiceKey] = frozenset()
    probes: Probes = PENDING


ClassFacts = NoCluster | ClusterServices


@dataclass(frozen=True, slots=True)
class ClassPlan:
    """What is to be true of a ConnectorClass. `events`: what the change from the previous status tells."""

    status: ConnectorClassStatus
    events: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class _Judged:
    """A condition, and the address where it is known."""

    condition: Condition
    url: str = ""


def plan(
    connector_class: ConnectorClass,
    violations: tuple[Violation, ...],
    previous: ConnectorClassStatus | None,
    facts: ClassFacts,
    now: str,
) -> ClassPlan:
    """The status that a class should have. `now` is RFC 3339; `previous` lends its times, and Events compare to it."""
    before = previous.conditions if previous else ()
    same = previous is not None and previous.observed_generation == connector_class.metadata.generation
    api, proxy = _api(connector_class, facts, before if same else ()), _proxy(connector_class, facts)
    children = [api.condition, proxy.condition]
    fatal = errors(violations)
    conditions = settle([*children, _invalid(fatal) if fatal else ready(children)], before, now)
    status = ConnectorClassStatus(
        observed_generation=connector_class.metadata.generation,
        conditions=conditions,
        proxy=ProxyStatus(http_address=HttpAddress(url=proxy.url)) if proxy.url else None,
        api=ClassApiStatus(address=HttpAddress(url=api.url)) if api.url else None,
    )
    return ClassPlan(status, happenings(before, conditions))


def _api(connector_class: ConnectorClass, facts: ClassFacts, before: Sequence[Condition]) -> _Judged:
    kind = ConditionType.API_READY
    platform = facts.platform if isinstance(facts, ClusterServices) else Platform()
    destination = api_destination(connector_class.spec.api, platform) if connector_class.spec.api else None
    if destination is None:
        return _Judged(true(kind, ConditionReason.NON_API))
    probed = probed_condition(kind, facts.probes.api, facts.probes, before)
    if isinstance(facts, NoCluster):
        return _Judged(probed)
    return _resolved(destination, facts, probed, ConditionReason.API_SERVICE_NOT_FOUND)


def _proxy(connector_class: ConnectorClass, facts: ClassFacts) -> _Judged:
    kind = ConditionType.PROXY_READY
    spec = connector_class.spec.proxy
    if spec is None:
        return _Judged(true(kind, ConditionReason.NON_PROXY))
    if isinstance(facts, NoCluster):
        return _Judged(true(kind))
    destination = proxy_destination(spec, facts.platform)
    return _resolved(destination, facts, true(kind), ConditionReason.PROXY_SERVICE_NOT_FOUND)


def _resolved(destination: Destination, facts: ClusterServices, well: Condition, missing: ConditionReason) -> _Judged:
    if isinstance(destination, Unusable):
        return _Judged(false(well.type, ConditionReason.CONNECTOR_CLASS_INVALID, destination.message))
    if isinstance(destination, External) or destination.service in facts.existing:
        return _Judged(well, destination.url)
    name, namespace = destination.service.name, destination.service.namespace
    return _Judged(false(well.type, missing, f"Service {name} not found in namespace {namespace}"))


def _invalid(fatal: tuple[Violation, ...]) -> Condition:
    return false(ConditionType.READY, ConditionReason.CONNECTOR_CLASS_INVALID, str(fatal[0]))
