from __future__ import annotations

import pytest

from connectors.dial.kind import DialFailure, FailureKind
from connectors.expressions.check import compile_check
from connectors.http.response import Response
from connectors.objects.addresses import parse_address
from connectors.objects.conditions import ConditionStatus
from connectors.objects.secret import SecretValue
from controller.probes.outcome import PASSED, Purpose
from controller.probes.request import Ask, ProbeRequest
from controller.probes.verdict import judge, too_many_redirects, unreachable

REQUEST = ProbeRequest("GET", parse_address("https://tool.example"), SecretValue(b"/"))
UP = "response.body.status == 'UP'"


def response(status: int, body: bytes = b"") -> Response:
    return Response(status, (("Content-Type", "application/json"),), body)


def ask(purpose: Purpose, cel: str = "", success: range = range(200, 300)) -> Ask:
    return Ask(purpose, REQUEST, success, compile_check(cel) if cel else None)


L, A = Purpose.LIVENESS, Purpose.AUTH
VERDICTS = [
    # purpose, check, status, body, reason, message
    (L, "", 200, b"", "", ""),
    (L, "", 299, b"", "", ""),
    (L, "", 302, b"", "UnexpectedStatus", "status code 302"),
    (L, "", 401, b"", "UnexpectedStatus", "status code 401"),
    (L, "", 500, b"", "UnexpectedStatus", "status code 500"),
    (A, "", 200, b"", "", ""),
    (A, "", 401, b"", "AuthenticationFailed", "Authentication failed: status code 401"),
    (A, "", 403, b"", "AuthenticationFailed", "Authentication failed: status code 403"),
    (A, "", 404, b"", "UnexpectedStatus", "status code 404"),
    (L, UP, 200, b'{"status":"UP"}', "", ""),
    (L, "response.statusCode < 500", 401, b"", "", ""),
    (L, UP, 200, b'{"status":"DOWN"}', "ExpressionFalse",
     f"the class's check does not hold: {UP} (status code 200)"),
    (L, UP, 200, b"{}", "ExpressionError", None),
    (L, UP, 401, b"{}", "ExpressionError", None),
    (A, UP, 401, b"{}", "AuthenticationFailed", "Authentication failed: status code 401"),
    (A, UP, 403, b'{"status":"DOWN"}', "AuthenticationFailed", "Authentication failed: status code 403"),
    (A, UP, 200, b'{"status":"DOWN"}', "ExpressionFalse",
     f"the class's check does not hold: {UP} (status code 200)"),
    (A, "response.statusCode == 401", 401, b"", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("purpose", "cel", "status", "body", "reason", "message"), VERDICTS)
def test_verdicts(purpose: Purpose, cel: str, status: int, body: bytes, reason: str, message: str | None) -> None:
    found = judge(ask(purpose, cel), response(status, body))
    assert (found.reason or "") == reason
    assert found.status is (ConditionStatus.FALSE if reason else ConditionStatus.TRUE)
    if message is None:
        assert f"(status code {status})" in found.message
    else:
        assert found.message == message


@pytest.mark.parametrize(("status", "well"), [(200, True), (204, False), (401, False), (500, False)])
def test_an_api_has_to_say_200(status: int, well: bool) -> None:
    assert (judge(ask(L, success=range(200, 201)), response(status)) == PASSED) is well


@pytest.mark.parametrize("purpose", [L, A])
@pytest.mark.parametrize("cel", ["", "response.statusCode == 508"])
def test_t34_an_address_that_leads_back_is_said(purpose: Purpose, cel: str) -> None:
    looped = Response(508, (("X-Connectors-Reason", "LoopDetected"),), b"")
    outcome = judge(ask(purpose, cel), looped)
    assert (outcome.reason, outcome.message.partition(";")[0]) == (
        "UnexpectedStatus",
        "status code 508: the address leads back to this Connector",
    )
    # A tool's own 508 (RFC 5842 section 7.2) says no more than another status.
    assert judge(ask(L), response(508)).message == "status code 508"


def test_t25_an_answer_without_the_credential_proves_nothing_of_it() -> None:
    found = judge(ask(A), response(200), dropped=True)
    assert (found.status, found.reason) == (ConditionStatus.FALSE, "UnexpectedStatus")
    assert "not checked" in found.message
    assert judge(ask(L), response(200), dropped=True) == PASSED
    refused = judge(ask(A), response(401), dropped=True)
    assert refused.reason == "AuthenticationFailed"
    assert "no credential is sent" in refused.message


def test_too_many_redirects() -> None:
    found = too_many_redirects(response(302), 5)
    assert (found.status, found.reason) == (ConditionStatus.FALSE, "UnexpectedStatus")
    assert found.message == "status code 302 after 5 redirects; is it a loop?"


@pytest.mark.parametrize("kind", list(FailureKind))
def test_no_answer(kind: FailureKind) -> None:
    found = unreachable(DialFailure(kind, "tool.example:443 ..."))
    if kind is FailureKind.BUSY:
        assert (found.status, found.reason) == (ConditionStatus.UNKNOWN, "ProbePending"), "nobody was asked"
        return
    denied = kind is FailureKind.DENIED
    assert (found.status, found.reason) == (ConditionStatus.FALSE, "TargetDenied" if denied else "ConnectionFailed")
    assert found.message == f"{kind.value}: tool.example:443 ..."
