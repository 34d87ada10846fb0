"""The conditions that probes make, row by row."""

from __future__ import annotations

import msgspec
import pytest

from connectors.judgement import Judgement
from connectors.objects.conditions import ConditionStatus, ConnectorStatus
from connectors.objects.connector import ConnectorAuth
from connectors.objects.connector_class import AuthProbe
from connectors.objects.reasons import ConditionReason
from connectors.objects.violation import Violation
from controller.plans.connector import ConnectorFacts, plan
from controller.probes.outcome import PASSED, Probed, ProbeOutcome, Probes, failed
from tests.controller.plans.test_connector import CLASS_BROKEN, LOCAL, NOT_FOUND, PROBE, git, repo, summary

PROBED_CLASS = git(liveness_probe=PROBE, auth_probes=(AuthProbe(auth_name="basic", probe=PROBE),))
NOW, EARLIER, LONG_AGO = "2026-11-25T12:00:00Z", "2026-11-25T11:51:00Z", "2026-11-25T11:49:59Z"
REFUSED = failed(ConditionReason.CONNECTION_FAILED, "connection refused: tool.example:443 refuses connections")
DENIED = failed(ConditionReason.AUTHENTICATION_FAILED, "Authentication failed: status code 401")
NOTHING = ProbeOutcome(ConditionStatus.TRUE, ConditionReason.NON_AUTH_PROBE, "nothing to probe")
NOT_NAMED = (Violation("spec.auth.name", "the class has no such type"),)


def facts(
    liveness: ProbeOutcome | None = None, auth: ProbeOutcome | None = None, *, time: str = NOW, fresh: bool = False
) -> ConnectorFacts:
    probes = Probes(Probed(liveness, time) if liveness else None, Probed(auth, time) if auth else None, fresh=fresh)
    return ConnectorFacts(LOCAL.proxy, probes)


def probed_pair(status: ConnectorStatus) -> list[tuple[str, str]]:
    """LivenessReady and AuthReady."""
    return summary(status)[2:4]


# The requirement's tables of LivenessReady and AuthReady, row by row, and what they leave unsaid.
PROBED = [
    pytest.param(Judgement(repo(secret=True), PROBED_CLASS), facts(), ["Unknown ProbePending"] * 2, id="in progress"),
    pytest.param(Judgement(repo(secret=True), PROBED_CLASS), facts(PASSED, PASSED), ["True "] * 2, id="well"),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS),
        facts(REFUSED, REFUSED),
        ["False ConnectionFailed"] * 2,
        id="away",
    ),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS),
        facts(PASSED, DENIED),
        ["True ", "False AuthenticationFailed"],
        id="wrong credential",
    ),
    pytest.param(
        Judgement(repo(secret=True), git(liveness_probe=PROBE)),
        facts(PASSED),
        ["True ", "True NonAuthProbe"],
        id="no auth probe",
    ),
    pytest.param(
        Judgement(repo(secret=True), git(auth_probes=PROBED_CLASS.spec.auth_probes)),
        facts(None, PASSED),
        ["True NonLivenessProbe", "True "],
        id="no liveness probe",
    ),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS),
        facts(PASSED, NOTHING),
        ["True ", "True NonAuthProbe"],
        id="nothing to ask for",
    ),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS, secret_problem=NOT_FOUND),
        facts(PASSED, PASSED),
        ["True ", "Unknown SecretNotFound"],
        id="a missing Secret leaves no True behind",
    ),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS, violations=NOT_NAMED),
        facts(PASSED, PASSED),
        ["Unknown ConnectorInvalid"] * 2,
        id="nor does a broken rule",
    ),
    pytest.param(
        Judgement(
            msgspec.structs.replace(
                repo(), spec=msgspec.structs.replace(repo().spec, auth=ConnectorAuth(name="unheard-of"))
            ),
            PROBED_CLASS,
            violations=NOT_NAMED,
        ),
        facts(),
        ["Unknown ConnectorInvalid"] * 2,
        id="an unknown type",
    ),
    pytest.param(
        Judgement(repo(secret=True), PROBED_CLASS, violations=CLASS_BROKEN),
        facts(PASSED, PASSED),
        ["Unknown ConnectorClassInvalid"] * 2,
        id="an invalid class",
    ),
    pytest.param(
        Judgement(repo(secret=True), None),
        facts(PASSED, PASSED),
        ["Unknown ConnectorClassNotFound"] * 2,
        id="no class",
    ),
]


@pytest.mark.parametrize(("judgement", "found", "expected"), PROBED)
def test_probed_conditions(judgement: Judgement, found: ConnectorFacts, expected: list[str]) -> None:
    status = plan(judgement, None, found, NOW).status
    assert [" ".join(pair) for pair in probed_pair(status)] == expected
    asked = {"True ", "False ConnectionFailed", "False AuthenticationFailed"}
    times = [condition.last_probe_time for condition in status.conditions[2:4]]
    assert all(time == NOW for time, said in zip(times, expected, strict=True) if said in asked)


def test_ready_inherits_from_the_probe_that_fails() -> None:
    ready = plan(Judgement(repo(secret=True), PROBED_CLASS), None, facts(PASSED, DENIED), NOW).status.conditions[-1]
    assert (ready.status, ready.reason, ready.message) == ("False", "AuthenticationFailed", DENIED.message)


def test_a_change_voids_what_was_true() -> None:
    judgement = Judgement(repo(secret=True), PROBED_CLASS)
    before = plan(judgement, None, facts(PASSED, PASSED, time=EARLIER), EARLIER).status
    assert probed_pair(plan(judgement, before, facts(), NOW).status) == [("Unknown", "ProbePending")] * 2


def test_what_an_earlier_process_wrote_stands_until_the_first_probe() -> None:
    judgement = Judgement(repo(secret=True), PROBED_CLASS)
    before = plan(judgement, None, facts(PASSED, DENIED, time=EARLIER), EARLIER).status
    fresh = facts(fresh=True)
    assert plan(judgement, before, fresh, NOW).status == before
    older = msgspec.structs.replace(before, observed_generation=6)
    assert probed_pair(plan(judgement, older, fresh, NOW).status) == [("Unknown", "ProbePending")] * 2
    pending = plan(judgement, None, facts(), EARLIER).status
    assert probed_pair(plan(judgement, pending, fresh, NOW).status) == [("Unknown", "ProbePending")] * 2
    gone = Judgement(repo(secret=True), PROBED_CLASS, secret_problem=NOT_FOUND)
    assert probed_pair(plan(gone, before, fresh, NOW).status)[1] == ("Unknown", "SecretNotFound")


@pytest.mark.parametrize(("before", "moves"), [(EARLIER, False), (LONG_AGO, True)])
def test_the_time_alone_is_written_every_ten_minutes(before: str, moves: bool) -> None:
    judgement = Judgement(repo(secret=True), PROBED_CLASS)
    first = plan(judgement, None, facts(PASSED, PASSED, time=before), before).status
    then = plan(judgement, first, facts(PASSED, PASSED), NOW).status
    assert (then != first) is moves
    assert {condition.last_probe_time for condition in then.conditions[2:4]} == {NOW if moves else before}
    other = plan(judgement, first, facts(PASSED, DENIED), NOW).status
    assert other.conditions[3].last_probe_time == NOW
