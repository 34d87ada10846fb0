"""Conditions: when one moved, what they say together, and which Events a change makes; CACertReady. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache

import msgspec
from msgspec.structs import replace

from connectors.objects.conditions import Condition, ConditionStatus, ConditionType
from connectors.objects.reasons import ConditionReason
from connectors.tls.certificates import Bundle
from connectors.trust import OwnAuthority
from controller.probes.outcome import RETELL, Probed, Probes

INFO = "Info"

# Bytes of a message: as many as an Event's may have (core/v1 validation, NoteLengthLimit). A condition's could have
# more, but six of them must not make an object that the API server refuses: a status can always be written.
MAX_MESSAGE = 1024

# Conditions with a time of the last probe.
PROBED = frozenset({ConditionType.LIVENESS_READY, ConditionType.AUTH_READY, ConditionType.API_READY})

# Reasons that only a request can find. "" stands for success.
_ANSWERS = frozenset(
    {
        "", ConditionReason.CONNECTION_FAILED, ConditionReason.AUTHENTICATION_FAILED, ConditionReason.UNEXPECTED_STATUS,
        ConditionReason.EXPRESSION_FALSE, ConditionReason.EXPRESSION_ERROR, ConditionReason.TARGET_DENIED,
    }
)  # fmt: skip

_WORST_FIRST = (ConditionStatus.FALSE, ConditionStatus.UNKNOWN)


def bounded(message: str) -> str:
    """The message cut to MAX_MESSAGE bytes of UTF-8, with an ellipsis where something was cut."""
    raw = message.encode()
    if len(raw) <= MAX_MESSAGE:
        return message
    return raw[: MAX_MESSAGE - 3].decode(errors="ignore") + "…"


def true(kind: ConditionType, reason: ConditionReason | None = None) -> Condition:
    """A condition that holds; `reason` only if nothing was looked at."""
    return Condition(type=kind, status=ConditionStatus.TRUE, reason=reason.value if reason else "")


def false(kind: ConditionType, reason: ConditionReason, message: str) -> Condition:
    """A condition that does not hold; its message is bounded."""
    return Condition(type=kind, status=ConditionStatus.FALSE, reason=reason.value, message=bounded(message))


def unknown(kind: ConditionType, reason: ConditionReason, message: str) -> Condition:
    """A condition that cannot be judged now; its message is bounded."""
    return Condition(type=kind, status=ConditionStatus.UNKNOWN, reason=reason.value, message=bounded(message))


def ready(children: Sequence[Condition]) -> Condition:
    """Ready: False if any counted condition is, else Unknown if any is, else True.

    It inherits reason and message of the first condition of that status, as Knative's living condition sets do.
    Conditions of severity Info do not count.
    """
    counted = [child for child in children if child.severity != INFO]
    for status in _WORST_FIRST:
        for child in counted:
            if child.status is status:
                return Condition(type=ConditionType.READY, status=status, reason=child.reason, message=child.message)
    return true(ConditionType.READY)


def probed_condition(
    kind: ConditionType, probed: Probed | None, probes: Probes, before: Sequence[Condition]
) -> Condition:
    """What a probe found: `probed`, of `probes`. While it was not probed yet Unknown.

    Unless they are fresh, and `before`, conditions of the same spec, has what a probe said of it. What was said without
    one is not that: it followed from a Secret, a class or a Service as it was then.
    """
    if probed is None:
        earlier = next((condition for condition in before if condition.type is kind), None)
        if earlier is not None and probes.fresh and earlier.last_probe_time and _by_probe(earlier):
            return earlier
        return unknown(kind, ConditionReason.PROBE_PENDING, probes.pending)
    outcome = probed.outcome
    reason = outcome.reason.value if outcome.reason else ""
    return Condition(
        type=kind, status=outcome.status, reason=reason, message=bounded(outcome.message), last_probe_time=probed.time
    )


def _by_probe(condition: Condition) -> bool:
    return condition.status is not ConditionStatus.UNKNOWN and condition.reason in _ANSWERS


def _seconds(earlier: str, later: str) -> float:
    """Between two times as metav1.Time writes them; an age long past where one of them is none.

    A status is any text that someone wrote: without a time zone it is not a time either.
    """
    try:
        return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
    except (ValueError, TypeError):
        return RETELL


def settle(conditions: Sequence[Condition], previous: Sequence[Condition], now: str) -> tuple[Condition, ...]:
    """Give each condition its lastTransitionTime: `now` (RFC 3339) where its status is new, else that of `previous`.

    A probed condition that brings no lastProbeTime keeps that of `previous`; so does one that says the same as before,
    until that is RETELL old: a probe that finds nothing new is not a reason to write.
    """
    before = {condition.type: condition for condition in previous}
    return tuple(_settled(condition, before.get(condition.type), now) for condition in conditions)


def _settled(condition: Condition, before: Condition | None, now: str) -> Condition:
    moved = before is None or before.status is not condition.status or not before.last_transition_time
    since = now if moved or before is None else before.last_transition_time
    probed = condition.last_probe_time
    if before is not None and condition.type in PROBED and (not probed or _only_later(condition, before)):
        probed = before.last_probe_time
    return _one(msgspec.structs.replace(condition, last_transition_time=since, last_probe_time=probed))


@lru_cache(maxsize=4096)
def _one(condition: Condition) -> Condition:
    """One instance for all equal conditions: most of thousands of Connectors say that all is well.

    Conditions name what is wrong, and never a value of a Secret.
    """
    return condition


def _only_later(condition: Condition, before: Condition) -> bool:
    """Whether only the time of the probe has changed, and only by little."""
    said, says = (before.status, before.reason, before.message), (condition.status, condition.reason, condition.message)
    if said != says or not before.last_probe_time:
        return False
    return 0 <= _seconds(before.last_probe_time, condition.last_probe_time) < RETELL


CA_INVALID = "InvalidCACert"
# Events whose name is not the reason of their condition (docs/trust.md).
EVENT_REASONS: Mapping[tuple[ConditionType, str], str] = {
    (ConditionType.CA_CERT_READY, "SecretNotFound"): "CACertSecretNotFound",
    (ConditionType.CA_CERT_READY, "InvalidPEM"): CA_INVALID,
}


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
        # Each of its reasons has an Event of its own.
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


_KIND = ConditionType.CA_CERT_READY


def ca_condition(authority: OwnAuthority, namespace: str) -> Condition:
    """CACertReady: what spec.caCertSecretRef leads to. It informs, and Ready does not count it."""
    return replace(_judged(authority, namespace), severity=INFO)


def _judged(authority: OwnAuthority, namespace: str) -> Condition:
    name, bundle = authority.name, authority.bundle
    if not name:
        return _true(
            ConditionReason.NO_CA_CERT, "spec.caCertSecretRef is not set; the CAs that are trusted for all count"
        )
    if authority.unread:
        return unknown(_KIND, ConditionReason.SECRET_PENDING, authority.unread)
    if bundle is None:
        return false(
            _KIND, ConditionReason.SECRET_NOT_FOUND, f'secrets "{name}" not found; create it in namespace {namespace}'
        )
    if not bundle.certificates:
        return false(_KIND, ConditionReason.INVALID_PEM, invalid_message(name, bundle.problems))
    return _true(ConditionReason.VALID, _valid(name, bundle))


def invalid_message(name: str, problems: Sequence[str]) -> str:
    """What is said of a Secret without a single certificate."""
    why = "; ".join(problems) or "it has no key that ends in .crt or .pem, and no value in PEM"
    return f'Secret "{name}" contains invalid PEM data: {why}'


def left_out(problems: Sequence[str]) -> str:
    """What is said of a Secret that has certificates, and other things besides."""
    return "left out: " + "; ".join(problems)


def _valid(name: str, bundle: Bundle) -> str:
    count = len(bundle.certificates)
    what = "CA certificate" if count == 1 else f"{count} CA certificates"
    told = [f'{what} loaded from secret "{name}"']
    if bundle.first_end is not None:
        # The date, and not how long that is: a message must not change from day to day.
        word = "expires" if count == 1 else "the first expires"
        told.append(f"{word} {datetime.fromtimestamp(bundle.first_end, UTC):%Y-%m-%dT%H:%M:%SZ}")
    message = ", ".join(told)
    return f"{message}; {left_out(bundle.problems)}" if bundle.problems else message


def _true(reason: ConditionReason, message: str) -> Condition:
    return Condition(type=_KIND, status=ConditionStatus.TRUE, reason=reason.value, message=bounded(message))
