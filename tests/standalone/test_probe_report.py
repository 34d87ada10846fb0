from __future__ import annotations

import pytest

from connectors.expressions.check import compile_check
from connectors.objects.addresses import parse_address
from connectors.objects.conditions import Condition, ConditionStatus, ConditionType, ConnectorStatus
from connectors.objects.connector import ConnectorKey
from connectors.objects.secret import SecretValue
from controller.probes.outcome import PASSED, Purpose
from controller.probes.request import Ask, Hop, ProbeField, ProbeRequest, Report
from standalone.probe_report import report_of, text_of

KEY = ConnectorKey("team", "tool")
ADDRESS = parse_address("https://tool.example:8443")
SECRET = ProbeField("Authorization", SecretValue(b"Bearer canary"), from_secret=True)
FIXED = ProbeField("Accept", SecretValue(b"application/json"))


def status(liveness: str = "True", auth: str = "True") -> ConnectorStatus:
    return ConnectorStatus(
        conditions=(
            Condition(type=ConditionType.SECRET_READY, status=ConditionStatus.TRUE),
            Condition(type=ConditionType.LIVENESS_READY, status=ConditionStatus(liveness)),
            Condition(
                type=ConditionType.AUTH_READY,
                status=ConditionStatus(auth),
                reason="" if auth == "True" else "AuthenticationFailed",
                message="" if auth == "True" else "Authentication failed: status code 401",
            ),
        )
    )


def request(target: bytes = b"/user?x=1", *headers: ProbeField, hidden: bool = False) -> ProbeRequest:
    return ProbeRequest("GET", ADDRESS, SecretValue(target), headers, hidden)


def test_everything_a_person_wants_and_no_credential() -> None:
    live = Ask(Purpose.LIVENESS, request(b"/"), check=compile_check("response.statusCode < 500"))
    user = request(b"/user?x=1", FIXED, SECRET)
    moved = request(b"/canary", FIXED, SECRET)
    reports = {
        Purpose.LIVENESS: Report(live, PASSED, [Hop(live.request, 200)]),
        Purpose.AUTH: Report(Ask(Purpose.AUTH, user), PASSED, [Hop(user, 302), Hop(moved, 401)]),
    }
    found = report_of(KEY, status(auth="False"), reports)
    assert text_of(found) == (
        "team/tool\n"
        "  GET https://tool.example:8443/\n"
        "      -> 200\n"
        "      success: response.statusCode < 500\n"
        "  LivenessReady: True\n"
        "  GET https://tool.example:8443/user?x=1\n"
        "      Accept: application/json\n"
        "      Authorization: **********\n"
        "      -> 302\n"
        "  GET https://tool.example:8443/**********\n"
        "      Accept: application/json\n"
        "      Authorization: **********\n"
        "      -> 401\n"
        "      success: status code 200 to 299\n"
        "  AuthReady: False AuthenticationFailed: Authentication failed: status code 401\n"
    )
    assert "canary" not in repr(found)
    assert not found.well


def test_t14_a_path_made_of_the_secret_is_masked() -> None:
    hidden = request(b"/?key=canary", hidden=True)
    reports = {Purpose.AUTH: Report(Ask(Purpose.AUTH, hidden), PASSED, [Hop(hidden)])}
    text = text_of(report_of(KEY, status(), reports))
    assert "canary" not in text
    assert "https://tool.example:8443/**********\n      -> no answer\n" in text


def test_what_was_not_asked_has_its_condition_alone() -> None:
    found = report_of(KEY, status(), {Purpose.AUTH: Report(None, PASSED)})
    assert text_of(found) == "team/tool\n  LivenessReady: True\n  AuthReady: True\n"
    assert found.well


def test_t14_a_host_that_a_tool_made_of_the_credential_is_masked() -> None:
    user = request(b"/user", SECRET)
    moved = ProbeRequest("GET", parse_address("https://canary.other.example:4711"), SecretValue(b"/"))
    report = Report(Ask(Purpose.AUTH, user), PASSED, [Hop(user, 302), Hop(moved, None)])
    text = text_of(report_of(KEY, status(), {Purpose.AUTH: report}))
    assert "  GET https://**********/**********\n" in text
    assert "canary" not in text
    assert "4711" not in text


@pytest.mark.parametrize("end", ["\n", "\r", "\x1c", "\x85", "\u2028", "\u2029"])
def test_no_value_adds_a_line(end: str) -> None:
    forged = ProbeField("X-Note", SecretValue(f"a{end}  AuthReady: True \x1b[2J".encode()))
    failing = request(b"/user", forged)
    report = Report(Ask(Purpose.AUTH, failing), PASSED, [Hop(failing, 401)])
    text = text_of(report_of(KEY, status(auth="False"), {Purpose.AUTH: report}))
    assert [line for line in text.splitlines() if line.startswith("  AuthReady")] == [
        "  AuthReady: False AuthenticationFailed: Authentication failed: status code 401"
    ]
    assert "\x1b" not in text
