from __future__ import annotations

import pytest

from connectors.objects.conditions import Condition, ConditionStatus, ConditionType
from connectors.objects.reasons import ConditionReason
from controller.conditions import false, happenings, ready, true, unknown

SECRET, CA = ConditionType.SECRET_READY, ConditionType.CA_CERT_READY
GOOD, OPEN = true(SECRET), unknown(SECRET, ConditionReason.PROBE_PENDING, "wait")
BAD = false(SECRET, ConditionReason.SECRET_NOT_FOUND, "no such secret")
OTHERWISE = false(SECRET, ConditionReason.SECRET_KEY_MISSING, "no such key")
CA_LOST = Condition(type=CA, status=ConditionStatus.FALSE, reason="SecretNotFound", message="gone", severity="Info")
RULE = false(ConditionType.READY, ConditionReason.CONNECTOR_INVALID, "spec.address: is missing")
OTHER_RULE = false(ConditionType.READY, ConditionReason.CONNECTOR_INVALID, "spec.auth.name: is not known")
CLASS_RULE = false(ConditionType.PROXY_READY, ConditionReason.CONNECTOR_INVALID, "uri: the same in other words")
AWAY = false(ConditionType.LIVENESS_READY, ConditionReason.CONNECTION_FAILED, "refused: is it there?")
ALSO_AWAY = false(ConditionType.AUTH_READY, ConditionReason.CONNECTION_FAILED, "refused: is it there?")

WARNING = ("Warning", "SecretNotFound")
READY = ("Normal", "Ready")


def all_of(*children: Condition) -> list[Condition]:
    return [*children, ready(children)]


@pytest.mark.parametrize(
    ("previous", "current", "expected"),
    [
        pytest.param([], all_of(GOOD), [READY], id="ready for the first time"),
        pytest.param(all_of(BAD), all_of(GOOD), [READY], id="ready again"),
        pytest.param(all_of(OPEN), all_of(GOOD), [READY], id="ready after waiting"),
        pytest.param([], all_of(BAD), [WARNING], id="bad from the beginning: once, not for Ready too"),
        pytest.param(all_of(GOOD), all_of(BAD), [WARNING], id="bad now"),
        pytest.param(all_of(BAD), all_of(BAD), [], id="still bad"),
        pytest.param(all_of(BAD), all_of(OTHERWISE), [], id="bad for another reason is no transition"),
        pytest.param(all_of(GOOD), all_of(OPEN), [], id="nobody knows"),
        pytest.param([], all_of(OPEN), [], id="nobody knows yet"),
        pytest.param(all_of(GOOD), [OPEN, RULE], [("Warning", "ConnectorInvalid")], id="a rule: only Ready tells"),
        pytest.param(all_of(BAD), [OPEN, RULE], [("Warning", "ConnectorInvalid")], id="bad, now a rule: Ready tells"),
        pytest.param([BAD, RULE], [BAD, RULE], [], id="a rule still"),
        pytest.param([OPEN, RULE], [OPEN, OTHER_RULE], [("Warning", "ConnectorInvalid")], id="another rule"),
        pytest.param([OPEN, RULE], all_of(BAD), [WARNING], id="a rule, now bad: not for Ready too"),
        pytest.param(all_of(BAD), [BAD, RULE], [("Warning", "ConnectorInvalid")], id="bad still, and a rule"),
        pytest.param([], [CLASS_RULE, RULE], [("Warning", "ConnectorInvalid")], id="a rule of which two tell"),
        pytest.param(
            all_of(GOOD), all_of(GOOD, AWAY, ALSO_AWAY), [("Warning", "ConnectionFailed")], id="two say the same"
        ),
        pytest.param(
            all_of(GOOD), all_of(GOOD, CA_LOST), [("Warning", "CACertSecretNotFound")], id="Info, under its own name"
        ),
        pytest.param(
            [], [GOOD, CA_LOST, RULE], [("Warning", "CACertSecretNotFound"), ("Warning", "ConnectorInvalid")], id="both"
        ),
    ],
)
def test_events(previous: list[Condition], current: list[Condition], expected: list[tuple[str, str]]) -> None:
    assert [(event.type.value, event.reason) for event in happenings(previous, current)] == expected


def ca(reason: str, status: ConditionStatus = ConditionStatus.FALSE) -> Condition:
    return Condition(type=CA, status=status, reason=reason, message=reason, severity="Info")


@pytest.mark.parametrize(
    ("previous", "current", "expected"),
    [
        (None, ca("SecretNotFound"), ["CACertSecretNotFound"]),
        (ca("SecretNotFound"), ca("SecretNotFound"), []),
        (ca("SecretNotFound"), ca("InvalidPEM"), ["InvalidCACert"]),
        (ca("InvalidPEM"), ca("SecretNotFound"), ["CACertSecretNotFound"]),
        (ca("Valid", ConditionStatus.TRUE), ca("InvalidPEM"), ["InvalidCACert"]),
        (ca("InvalidPEM"), ca("Valid", ConditionStatus.TRUE), []),
        (ca("Valid", ConditionStatus.TRUE), ca("NoCACert", ConditionStatus.TRUE), []),
    ],
)
def test_each_reason_of_a_ca_has_its_event(previous: Condition | None, current: Condition, expected: list[str]) -> None:
    assert [event.reason for event in happenings([previous] if previous else [], [current])] == expected
