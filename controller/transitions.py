"""Which Events a change of conditions makes: on transitions only. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from connectors.model.conditions import Condition, ConditionStatus, ConditionType
from controller.conditions import INFO, bounded

CA_INVALID = "InvalidCACert"
EVENT_REASONS: Mapping[tuple[ConditionType, str], str] = {
    (ConditionType.CA_CERT_READY, "SecretNotFound"): "CACertSecretNotFound",
    (ConditionType.CA_CERT_READY, "InvalidPEM"): CA_INVALID,
}
"""Events that are named otherwise than the reason of their condition (the requirement, "CACertReady Condition")."""


class EventType(StrEnum):
    """The two types of core/v1 Events."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Happening:
    """One Event to be, without the object that it is about. `message` is at most conditions.MAX_MESSAGE bytes long."""

    type: EventType
    reason: str
    message: str


def happenings(previous: Sequence[Condition], current: Sequence[Condition]) -> tuple[Happening, ...]:
    """A Warning for each condition that became False, the first time included; a Normal one when Ready became True.

    Ready is told of where no other condition tells the same: then also when it stays False and says something new.
    What two conditions tell in the same words is told once: both probes of a tool that is away say that it is.
    """
    return tuple(dict.fromkeys(_happenings(previous, current)))


def _happenings(previous: Sequence[Condition], current: Sequence[Condition]) -> Iterator[Happening]:
    before = {condition.type: condition for condition in previous}
    for condition in current:
        if not _is_new(condition, before.get(condition.type)):
            continue
        if condition.type is ConditionType.READY and condition.status is ConditionStatus.TRUE:
            yield Happening(EventType.NORMAL, ConditionType.READY.value, "every condition is met")
        elif condition.status is ConditionStatus.FALSE and not _is_repetition(condition, current):
            reason = EVENT_REASONS.get((condition.type, condition.reason), condition.reason)
            yield Happening(EventType.WARNING, reason, bounded(condition.message))


def _is_new(condition: Condition, before: Condition | None) -> bool:
    if before is None or before.status is not condition.status:
        return True
    if condition.type is ConditionType.CA_CERT_READY:
        # Each of its reasons has an Event of its own (the requirement).
        return before.reason != condition.reason
    said, says = (before.reason, before.message), (condition.reason, condition.message)
    return condition.type is ConditionType.READY and condition.status is ConditionStatus.FALSE and said != says


def _is_repetition(condition: Condition, current: Sequence[Condition]) -> bool:
    """Ready only repeats the condition that it inherits from; of a broken rule nothing but Ready tells.

    Reasons are compared, not messages: of a class's broken rule Ready and ProxyReady tell in different words.
    """
    return condition.type is ConditionType.READY and any(
        other is not condition
        and other.status is ConditionStatus.FALSE
        and other.severity != INFO
        and other.reason == condition.reason
        for other in current
    )
