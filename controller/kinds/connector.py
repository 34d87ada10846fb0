"""The plan for a Connector: binding and facts -> status. Pure; nothing here reaches the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.model.conditions import (
    ApiStatus,
    Condition,
    ConditionStatus,
    ConditionType,
    ConnectorStatus,
    HttpAddress,
    ProxyStatus,
)
from connectors.model.connector import ConnectorKey
from connectors.model.connector_class import ConnectorClass, Probe, Resolver
from connectors.model.metadata import GROUP
from connectors.model.reasons import ConditionReason
from connectors.model.violation import errors
from connectors.snapshot import Binding
from controller.conditions import false, ready, settle, true, unknown

PROBE_PENDING = "not probed yet"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan needs beyond the objects. `base_url` gives a Connector's proxy URL in host form, without a path."""

    base_url: Callable[[ConnectorKey], str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be true of a Connector."""

    status: ConnectorStatus


def plan(binding: Binding, previous: ConnectorStatus | None, facts: Facts, now: str) -> Plan:
    """The status that a Connector should have. `now` is RFC 3339; `previous` only lends its transition times."""
    conditions = settle(_conditions(binding), previous.conditions if previous else (), now)
    key = binding.connector.key
    status = ConnectorStatus(
        observed_generation=binding.connector.metadata.generation,
        conditions=conditions,
        proxy=_proxy(binding, facts),
        api=ApiStatus(path=f"/connectors/v1alpha1/{key.namespace}/{key.name}/path"),
    )
    return Plan(status)


def _conditions(binding: Binding) -> list[Condition]:
    connector_class = binding.connector_class
    class_ready = _class_ready(binding)
    if connector_class is None:
        message = f"not judged: {class_ready.message}"
        reason = ConditionReason(class_ready.reason)
        children = [class_ready, *(unknown(kind, reason, message) for kind in _OF_CLASS)]
        return [*children, ready(children)]
    children = [
        class_ready,
        _secret_ready(binding),
        _liveness_ready(connector_class),
        _auth_ready(binding, connector_class),
        _proxy_service_ready(connector_class),
    ]
    fatal = errors(binding.violations)
    if fatal and class_ready.status is ConditionStatus.TRUE:
        return [*children, false(ConditionType.READY, ConditionReason.CONNECTOR_INVALID, str(fatal[0]))]
    return [*children, ready(children)]


_OF_CLASS = (
    ConditionType.SECRET_READY,
    ConditionType.LIVENESS_READY,
    ConditionType.AUTH_READY,
    ConditionType.PROXY_SERVICE_READY,
)


def _class_ready(binding: Binding) -> Condition:
    """False where there is no such class, or none that can be used; connectors/snapshot.py says so under this path."""
    kind = ConditionType.CONNECTOR_CLASS_READY
    name = binding.connector.spec.connector_class_name
    of_name = [violation for violation in errors(binding.violations) if violation.path == "spec.connectorClassName"]
    if not name and of_name:
        return false(kind, ConditionReason.CONNECTOR_INVALID, str(of_name[0]))
    if binding.connector_class is None:
        message = f'connectorclass.{GROUP} "{name}" not found'
        return false(kind, ConditionReason.CONNECTOR_CLASS_NOT_FOUND, message)
    if of_name:
        return false(kind, ConditionReason.CONNECTOR_CLASS_INVALID, of_name[0].message)
    return true(kind)


def _secret_ready(binding: Binding) -> Condition:
    kind = ConditionType.SECRET_READY
    auth = binding.connector.spec.auth
    if fatal := errors(binding.violations):
        return unknown(kind, ConditionReason.CONNECTOR_INVALID, f"not judged: {fatal[0]}")
    if auth is None or auth.secret_ref is None:
        return true(kind, ConditionReason.SECRET_OPTIONAL)
    if problem := binding.secret_problem:
        return false(kind, problem.reason, problem.message)
    return true(kind)


def _liveness_ready(connector_class: ConnectorClass) -> Condition:
    return _probed(
        ConditionType.LIVENESS_READY, connector_class.spec.liveness_probe, ConditionReason.NON_LIVENESS_PROBE
    )


def _auth_ready(binding: Binding, connector_class: ConnectorClass) -> Condition:
    auth = binding.connector.spec.auth
    declared = connector_class.auth_probe(auth.name) if auth else None
    return _probed(ConditionType.AUTH_READY, declared.probe if declared else None, ConditionReason.NON_AUTH_PROBE)


def _probed(kind: ConditionType, probe: Probe | None, without: ConditionReason) -> Condition:
    if probe is None or (probe.http is None and probe.api is None):
        return true(kind, without)
    return unknown(kind, ConditionReason.PROBE_PENDING, PROBE_PENDING)


def _proxy_service_ready(connector_class: ConnectorClass) -> Condition:
    return true(ConditionType.PROXY_SERVICE_READY, None if connector_class.spec.proxy else ConditionReason.NON_PROXY)


def _proxy(binding: Binding, facts: Facts) -> ProxyStatus | None:
    """Absent without a class: whether there is an address, and of which form, is the class's to say."""
    connector_class = binding.connector_class
    if connector_class is None or connector_class.spec.proxy is None:
        return None
    key = binding.connector.key
    path = f"/namespaces/{key.namespace}/connectors/{key.name}" if connector_class.resolver is Resolver.PATH else ""
    return ProxyStatus(http_address=HttpAddress(url=facts.base_url(key) + path))
