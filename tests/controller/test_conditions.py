from __future__ import annotations

import msgspec
import pytest

from connectors.objects.conditions import Condition, ConditionStatus, ConditionType
from connectors.objects.reasons import ConditionReason
from controller.conditions import MAX_MESSAGE, bounded, false, probed_condition, ready, settle, true, unknown
from controller.probes.outcome import OFF, PENDING, Probed, Probes, failed

CLASS, SECRET, CA = ConditionType.CONNECTOR_CLASS_READY, ConditionType.SECRET_READY, ConditionType.CA_CERT_READY
GOOD = true(CLASS)
BAD = false(SECRET, ConditionReason.SECRET_NOT_FOUND, "no such secret")
WORSE = false(CLASS, ConditionReason.CONNECTOR_CLASS_NOT_FOUND, "no such class")
OPEN = unknown(SECRET, ConditionReason.PROBE_PENDING, "wait")
INFO = Condition(type=CA, status=ConditionStatus.FALSE, reason="InvalidPEM", message="bad", severity="Info")


@pytest.mark.parametrize(
    ("children", "status", "reason", "message"),
    [
        pytest.param([], "True", "", "", id="none"),
        pytest.param([GOOD, true(SECRET, ConditionReason.SECRET_OPTIONAL)], "True", "", "", id="all true"),
        pytest.param([GOOD, OPEN], "Unknown", "ProbePending", "wait", id="one unknown"),
        pytest.param([OPEN, BAD], "False", "SecretNotFound", "no such secret", id="false beats unknown"),
        pytest.param([WORSE, BAD], "False", "ConnectorClassNotFound", "no such class", id="the first false one"),
        pytest.param([GOOD, INFO], "True", "", "", id="Info does not count"),
    ],
)
def test_ready(children: list[Condition], status: str, reason: str, message: str) -> None:
    condition = ready(children)
    assert condition.type is ConditionType.READY
    assert (condition.status, condition.reason, condition.message) == (status, reason, message)


@pytest.mark.parametrize(
    ("before", "now_is", "expected"),
    [
        pytest.param(None, GOOD, "t2", id="new"),
        pytest.param(true(CLASS), WORSE, "t2", id="moved"),
        pytest.param(true(CLASS), GOOD, "t1", id="stayed"),
        pytest.param(false(CLASS, ConditionReason.CONNECTOR_INVALID, "other"), WORSE, "t1", id="another reason only"),
    ],
)
def test_transition_time_moves_only_with_the_status(before: Condition | None, now_is: Condition, expected: str) -> None:
    previous = settle([before], (), "t1") if before else ()
    (settled,) = settle([now_is], previous, "t2")
    assert settled.last_transition_time == expected
    assert (settled.status, settled.reason, settled.message) == (now_is.status, now_is.reason, now_is.message)


def test_a_previous_condition_without_a_time_gets_one() -> None:
    (settled,) = settle([GOOD], [true(CLASS)], "t2")
    assert settled.last_transition_time == "t2"


def test_the_last_probe_time_stays_with_probed_conditions() -> None:
    probed = Condition(type=ConditionType.AUTH_READY, status=ConditionStatus.TRUE, last_probe_time="t1")
    odd = Condition(type=CLASS, status=ConditionStatus.TRUE, last_probe_time="t1")
    again = settle([true(ConditionType.AUTH_READY), GOOD], [probed, odd], "t2")
    assert [condition.last_probe_time for condition in again] == ["t1", ""]


@pytest.mark.parametrize("message", ["short", "x" * MAX_MESSAGE, "x" * 2000, "ä" * 1000, "x" + "€" * 700])
def test_messages_are_bounded(message: str) -> None:
    cut = bounded(message)
    assert len(cut.encode()) <= MAX_MESSAGE
    assert cut == message or (cut.endswith("…") and message.startswith(cut[:-1]))


def test_every_message_of_a_condition_is_bounded() -> None:
    for make in (false, unknown):
        condition = make(SECRET, ConditionReason.CONNECTOR_INVALID, "x" * 100_000)
        assert len(condition.message.encode()) == MAX_MESSAGE
        assert ready([condition]).message == condition.message


AUTH = ConditionType.AUTH_READY
FOUND = Probed(failed(ConditionReason.AUTHENTICATION_FAILED, "Authentication failed: status code 401"), "t9")


def test_what_was_probed() -> None:
    condition = probed_condition(AUTH, FOUND, PENDING, ())
    assert (condition.type, condition.status, condition.reason) == (AUTH, "False", "AuthenticationFailed")
    assert (condition.message, condition.last_probe_time) == (FOUND.outcome.message, "t9")
    long = Probed(failed(ConditionReason.EXPRESSION_FALSE, "x" * 100_000), "t9")
    assert len(probed_condition(AUTH, long, PENDING, ()).message.encode()) == MAX_MESSAGE


@pytest.mark.parametrize(
    ("earlier", "expected"),
    [
        pytest.param(None, "ProbePending", id="nothing"),
        pytest.param(probed_condition(AUTH, FOUND, PENDING, ()), "AuthenticationFailed", id="probed"),
        pytest.param(true(AUTH, ConditionReason.NON_AUTH_PROBE), "ProbePending", id="not probed, as it had none"),
        pytest.param(unknown(AUTH, ConditionReason.PROBE_PENDING, "wait"), "ProbePending", id="never probed"),
        pytest.param(
            Condition(type=AUTH, status=ConditionStatus.UNKNOWN, reason="ProbePending", last_probe_time="t1"),
            "ProbePending",
            id="void already",
        ),
        pytest.param(
            Condition(type=AUTH, status=ConditionStatus.UNKNOWN, reason="SecretNotFound", last_probe_time="t1"),
            "ProbePending",
            id="its Secret was missing, and may be back",
        ),
        pytest.param(
            Condition(type=AUTH, status=ConditionStatus.TRUE, reason="NonAuthProbe", last_probe_time="t1"),
            "ProbePending",
            id="its class had no probe, and has one now",
        ),
        pytest.param(
            Condition(type=AUTH, status=ConditionStatus.FALSE, reason="APIServiceNotFound", last_probe_time="t1"),
            "ProbePending",
            id="a Service was missing, and is back",
        ),
        pytest.param(Condition(type=AUTH, status=ConditionStatus.TRUE, last_probe_time="t1"), "", id="well by a probe"),
    ],
)
def test_what_was_not_probed_yet(earlier: Condition | None, expected: str) -> None:
    before = [earlier] if earlier else []
    assert probed_condition(AUTH, None, Probes(fresh=True), before).reason == expected
    assert probed_condition(AUTH, None, PENDING, before).reason == "ProbePending"
    assert probed_condition(AUTH, None, OFF, before).message == "probes are off (--probe-interval 0)"


TEN, ALMOST, BACK = "2026-11-25T12:10:00Z", "2026-11-25T12:09:59Z", "2026-11-25T11:00:00Z"


@pytest.mark.parametrize(
    ("before", "now_is", "expected"),
    [
        pytest.param("2026-11-25T12:00:00Z", ALMOST, "2026-11-25T12:00:00Z", id="a moment before"),
        pytest.param("2026-11-25T12:00:00Z", TEN, TEN, id="ten minutes"),
        pytest.param("2026-11-25T12:00:00Z", BACK, BACK, id="the clock was set back"),
        pytest.param("nonsense", TEN, TEN, id="no time at all"),
        pytest.param("2026-11-25T12:00:00", ALMOST, ALMOST, id="no time zone"),
    ],
)
def test_a_probe_time_alone_moves_every_ten_minutes(before: str, now_is: str, expected: str) -> None:
    old = Condition(type=AUTH, status=ConditionStatus.TRUE, last_probe_time=before)
    new = Condition(type=AUTH, status=ConditionStatus.TRUE, last_probe_time=now_is)
    assert settle([new], [old], now_is)[0].last_probe_time == expected
    worse = msgspec.structs.replace(new, message="another")
    assert settle([worse], [old], now_is)[0].last_probe_time == now_is
