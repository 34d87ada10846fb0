"""The plan for a Connector: judgement and facts -> status, Service and Events. Pure: nothing reaches the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.judgement import Judgement
from connectors.objects.conditions import (
    ApiStatus,
    Condition,
    ConditionStatus,
    ConditionType,
    ConnectorStatus,
    HttpAddress,
    ProxyStatus,
)
from connectors.objects.connector import ConnectorAuth
from connectors.objects.connector_class import Probe
from connectors.objects.metadata import GROUP
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import Violation
from controller.conditions import (
    Happening,
    bounded,
    ca_condition,
    false,
    happenings,
    probed_condition,
    ready,
    settle,
    true,
    unknown,
)
from controller.destination import Allocation, Proxy, allocate
from controller.probes.outcome import PENDING, Probed, Probes
from controller.service import ServiceAction

_NOT_JUDGED = "not judged: "


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    """What a plan needs beyond the objects."""

    proxy: Proxy
    probes: Probes = PENDING


@dataclass(frozen=True, slots=True)
class ConnectorPlan:
    """What is to be true of a Connector.

    `service`: what to do to its Service first; the status holds for the facts before that. `events`: what the change
    from the previous status tells.
    """

    status: ConnectorStatus
    service: ServiceAction | None = None
    events: tuple[Happening, ...] = ()


@dataclass(frozen=True, slots=True)
class _KnownProbes:
    """What is known of the probed conditions: what was found, and the conditions of the same spec as written before."""

    probes: Probes
    before: Sequence[Condition]

    def condition(self, kind: ConditionType, probed: Probed | None) -> Condition:
        """The condition by what was found."""
        return probed_condition(kind, probed, self.probes, self.before)


def plan(judgement: Judgement, previous: ConnectorStatus | None, facts: ConnectorFacts, now: str) -> ConnectorPlan:
    """The status that a Connector should have. `now` is RFC 3339; `previous` lends times, and Events compare to it."""
    before = previous.conditions if previous else ()
    same = previous is not None and previous.observed_generation == judgement.connector.metadata.generation
    allocation = allocate(judgement, facts.proxy) if judgement.connector_class else None
    if allocation and same:
        allocation = _steady(allocation, before)
    conditions = settle(
        _conditions(judgement, allocation, _KnownProbes(facts.probes, before if same else ())), before, now
    )
    key = judgement.connector.key
    url = allocation.url if allocation else None
    status = ConnectorStatus(
        observed_generation=judgement.connector.metadata.generation,
        conditions=conditions,
        proxy=ProxyStatus(http_address=HttpAddress(url=url)) if url else None,
        api=ApiStatus(path=f"/connectors/v1alpha1/{key.namespace}/{key.name}/path"),
    )
    return ConnectorPlan(status, allocation.action if allocation else None, happenings(before, conditions))


def _steady(allocation: Allocation, previous: Sequence[Condition]) -> Allocation:
    """A refusal that goes on keeps its first message: the API server may say it in other words each time.

    Messages of 422 quote Go pointers, for one. What differs is written, and each write is one more change to look at.
    """
    new = allocation.condition
    if new.status is not ConditionStatus.FALSE or new.reason != ConditionReason.PROXY_SERVICE_FAILED:
        return allocation
    for old in previous:
        if (old.type, old.status, old.reason) == (new.type, new.status, new.reason):
            return replace(allocation, condition=false(new.type, ConditionReason.PROXY_SERVICE_FAILED, old.message))
    return allocation


def _conditions(judgement: Judgement, allocation: Allocation | None, known: _KnownProbes) -> list[Condition]:
    """`allocation` is None if there is no class: whether there is an address is the class's to say."""
    class_ready = _class_ready(judgement)
    fatal = judgement.fatal
    if judgement.connector_class is None or allocation is None:
        return _without_class(class_ready, _ca_ready(judgement))
    children = [
        class_ready,
        _secret_ready(judgement),
        _liveness_ready(judgement, known),
        _auth_ready(judgement, known),
        allocation.condition,
        *_ca_ready(judgement),
    ]
    if fatal and class_ready.status is ConditionStatus.TRUE:
        return [*children, false(ConditionType.READY, ConditionReason.CONNECTOR_INVALID, str(fatal[0]))]
    return [*children, ready(children)]


def _ca_ready(judgement: Judgement) -> list[Condition]:
    """None of it while custom CAs are off, or where the Connector cannot be read."""
    authority = judgement.authority
    return [ca_condition(authority, judgement.connector.metadata.namespace)] if authority else []


def _without_class(class_ready: Condition, ca_ready: list[Condition]) -> list[Condition]:
    """A Connector that cannot be read says so in Ready: nothing is known of its class, good or bad."""
    reason = ConditionReason(class_ready.reason)
    unread = class_ready.status is ConditionStatus.UNKNOWN
    message = class_ready.message if unread else f"{_NOT_JUDGED}{class_ready.message}"
    children = [class_ready, *(unknown(kind, reason, message) for kind in _OF_CLASS), *ca_ready]
    if unread:
        return [*children, false(ConditionType.READY, reason, message.removeprefix(_NOT_JUDGED))]
    return [*children, ready(children)]


_OF_CLASS = (
    ConditionType.SECRET_READY,
    ConditionType.LIVENESS_READY,
    ConditionType.AUTH_READY,
    ConditionType.PROXY_SERVICE_READY,
)


def _class_ready(judgement: Judgement) -> Condition:
    """False if there is no such class, or none that can be used; connectors/snapshot.py says so under this path."""
    kind = ConditionType.CONNECTOR_CLASS_READY
    name = judgement.connector.spec.connector_class_name
    of_name = _of_class_name(judgement)
    if judgement.connector_class is None and of_name:
        return false(kind, ConditionReason.CONNECTOR_INVALID, str(of_name[0]))
    if not name and (malformed := judgement.fatal):
        return unknown(kind, ConditionReason.CONNECTOR_INVALID, f"{_NOT_JUDGED}{malformed[0]}")
    if judgement.connector_class is None:
        message = f'connectorclass.{GROUP} "{name}" not found'
        return false(kind, ConditionReason.CONNECTOR_CLASS_NOT_FOUND, message)
    if of_name:
        return false(kind, ConditionReason.CONNECTOR_CLASS_INVALID, of_name[0].message)
    return true(kind)


def _of_class_name(judgement: Judgement) -> list[Violation]:
    return [violation for violation in judgement.fatal if violation.path == "spec.connectorClassName"]


def _secret_ready(judgement: Judgement) -> Condition:
    """The class is known; what is wrong with it is for ConnectorClassReady to say."""
    kind = ConditionType.SECRET_READY
    auth = judgement.connector.spec.auth
    if _of_class_name(judgement):
        return _class_invalid(kind, judgement)
    if broken := _rule_broken(kind, judgement):
        return broken
    if auth is None or auth.secret_ref is None:
        return true(kind, ConditionReason.SECRET_OPTIONAL)
    if problem := judgement.secret_problem:
        if problem.reason is ConditionReason.SECRET_PENDING:
            return unknown(kind, problem.reason, problem.message)
        return false(kind, problem.reason, problem.message)
    return Condition(type=kind, status=ConditionStatus.TRUE, message=bounded(judgement.secret_note))


def _liveness_ready(judgement: Judgement, known: _KnownProbes) -> Condition:
    kind = ConditionType.LIVENESS_READY
    probe = judgement.connector_class.spec.liveness_probe if judgement.connector_class else None
    if _of_class_name(judgement):
        return _class_invalid(kind, judgement)
    if not _asks(probe):
        return true(kind, ConditionReason.NON_LIVENESS_PROBE)
    return _rule_broken(kind, judgement) or known.condition(kind, known.probes.liveness)


def _auth_ready(judgement: Judgement, known: _KnownProbes) -> Condition:
    """Unknown for a type that the class does not know, and without a Secret that serves."""
    kind = ConditionType.AUTH_READY
    if _of_class_name(judgement) or judgement.connector_class is None:
        return _class_invalid(kind, judgement)
    auth = judgement.connector.spec.auth or ConnectorAuth()
    declared = judgement.connector_class.auth_probe(auth.name)
    misnamed = auth.name and judgement.connector_class.auth_type(auth.name) is None
    if not misnamed and not _asks(declared.probe if declared else None):
        return true(kind, ConditionReason.NON_AUTH_PROBE)
    if broken := _rule_broken(kind, judgement):
        return broken
    if problem := judgement.secret_problem:
        return unknown(kind, problem.reason, f"{_NOT_JUDGED}{problem.message}")
    return known.condition(kind, known.probes.auth)


def _asks(probe: Probe | None) -> bool:
    return probe is not None and (probe.http is not None or probe.api is not None)


def _class_invalid(kind: ConditionType, judgement: Judgement) -> Condition:
    message = f"not judged while ConnectorClass {judgement.connector.spec.connector_class_name} is invalid"
    return unknown(kind, ConditionReason.CONNECTOR_CLASS_INVALID, message)


def _rule_broken(kind: ConditionType, judgement: Judgement) -> Condition | None:
    fatal = judgement.fatal
    return unknown(kind, ConditionReason.CONNECTOR_INVALID, f"{_NOT_JUDGED}{fatal[0]}") if fatal else None
