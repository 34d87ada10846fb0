from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from connectors.dial.kind import DialFailure, FailureKind
from connectors.expressions.check import compile_check
from connectors.http.response import Response
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue
from controller.probes.outcome import PASSED, Purpose
from controller.probes.probing import run_probe
from controller.probes.redirects import MAX_HOPS
from controller.probes.request import Ask, ProbeField, ProbeRequest
from tests.peers.probe_sender import OK, Answer, ScriptedSender

SECRET = ProbeField("Authorization", SecretValue(b"Bearer canary"), from_secret=True)
REQUEST = ProbeRequest("GET", parse_address("https://tool.example"), SecretValue(b"/start"), (SECRET,))


def to(location: str) -> Response:
    return Response(302, (("Location", location),))


def script(answers: Mapping[str, Answer]) -> Callable[[str, str], Answer]:
    return lambda origin, target: answers[origin.removeprefix("https://") + target]


async def test_one_request() -> None:
    sender = ScriptedSender()
    report = await run_probe(sender, Ask(Purpose.AUTH, REQUEST), 10)
    assert report.outcome == PASSED
    assert [(hop.request, hop.status) for hop in report.hops] == [(REQUEST, 200)]


async def test_redirects_are_followed_and_the_last_answer_counts() -> None:
    answers = {"tool.example/start": to("/next"), "tool.example/next": to("/end"), "tool.example/end": Response(401)}
    sender = ScriptedSender(script(answers))
    report = await run_probe(sender, Ask(Purpose.AUTH, REQUEST), 10)
    assert sender.targets == ["/start", "/next", "/end"]
    assert all(SECRET in request.headers for request in sender.sent)
    assert report.outcome.message == "Authentication failed: status code 401"
    assert [hop.status for hop in report.hops] == [302, 302, 401]


async def test_t25_a_credential_that_was_left_behind_is_not_found_valid() -> None:
    sender = ScriptedSender(script({"tool.example/start": to("https://other.example/"), "other.example/": OK}))
    report = await run_probe(sender, Ask(Purpose.AUTH, REQUEST), 10)
    assert not sender.sent[1].headers
    assert report.outcome.reason == "UnexpectedStatus"
    assert (await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST), 10)).outcome == PASSED


async def test_t25_not_even_where_the_way_leads_back() -> None:
    answers: dict[str, Answer] = {
        "tool.example/start": to("https://other.example/"),
        "other.example/": to("https://tool.example/open"),
        "tool.example/open": OK,
    }
    sender = ScriptedSender(script(answers))
    report = await run_probe(sender, Ask(Purpose.AUTH, REQUEST), 10)
    assert [request.headers for request in sender.sent] == [(SECRET,), (), ()]
    assert report.outcome.reason == "UnexpectedStatus"


@pytest.mark.parametrize("purpose", [Purpose.AUTH, Purpose.LIVENESS])
@pytest.mark.parametrize("cel", ["", "response.statusCode < 400"])
async def test_t25_a_path_made_of_the_secret_goes_to_no_login_page_elsewhere(purpose: Purpose, cel: str) -> None:
    asked = ProbeRequest("GET", REQUEST.address, SecretValue(b"/user?token=canary"), target_from_secret=True)
    answers: dict[str, Answer] = {
        "tool.example/user?token=canary": to("/login?to=/user?token=canary"),
        "tool.example/login?to=/user?token=canary": to("https://sso.example/?to=/user?token=canary"),
        "sso.example/?to=/user?token=canary": OK,
    }
    sender = ScriptedSender(script(answers))
    ask = Ask(purpose, asked, check=compile_check(cel) if cel else None)
    report = await run_probe(sender, ask, 10)
    assert [request.address.host for request in sender.sent] == ["tool.example", "tool.example"]
    assert "another origin, to which no credential is sent" in report.outcome.message or report.outcome == PASSED
    # The tool is there, says the check; that the credential is good nobody has said.
    assert (report.outcome == PASSED) is (purpose is Purpose.LIVENESS and bool(cel))


async def test_a_class_can_take_the_redirect_for_the_answer() -> None:
    sender = ScriptedSender(script({"tool.example/start": to("/next")}))
    report = await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST, follow=False), 10)
    assert report.outcome.message == "status code 302"
    check = compile_check("response.statusCode == 302")
    assert (await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST, check=check, follow=False), 10)).outcome == PASSED


async def test_a_loop_ends() -> None:
    sender = ScriptedSender(lambda origin, target: to("/start"))
    report = await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST), 10)
    assert len(sender.sent) == MAX_HOPS + 1
    assert report.outcome.message == "status code 302 after 5 redirects; is it a loop?"


async def test_no_answer_is_an_outcome() -> None:
    sender = ScriptedSender(lambda origin, target: DialFailure(FailureKind.REFUSED, "tool.example:443 refuses"))
    report = await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST), 10)
    assert (report.outcome.reason, report.outcome.message) == (
        "ConnectionFailed",
        f"{FailureKind.REFUSED.value}: tool.example:443 refuses",
    )
    assert [hop.status for hop in report.hops] == [None]


async def test_the_time_is_that_of_the_whole_chain() -> None:
    sender = ScriptedSender(lambda origin, target: to("/start"), hold=asyncio.Event())
    report = await run_probe(sender, Ask(Purpose.LIVENESS, REQUEST), 0.05)
    assert report.outcome.reason == "ConnectionFailed"
    assert report.outcome.message.startswith("timeout: no answer from tool.example:443 in time")
    assert sender.running == 0


@pytest.mark.parametrize(
    ("cel", "reads"), [("", False), ("response.statusCode == 200", False), ("response.body.ok == true", True)]
)
async def test_the_body_is_read_only_where_the_check_looks_at_it(cel: str, reads: bool) -> None:
    asked: list[bool] = []

    class Noting(ScriptedSender):
        async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
            asked.append(read_body)
            return OK

    check = compile_check(cel) if cel else None
    await run_probe(Noting(), Ask(Purpose.LIVENESS, REQUEST, check=check), 10)
    assert asked == [reads]


@pytest.mark.parametrize("location", ["https://canary.other.example/", "https://tool.example:4711/"])
@pytest.mark.parametrize("hangs", [False, True])
async def test_t14_a_host_or_port_that_the_tool_made_of_the_credential_is_not_said(location: str, hangs: bool) -> None:
    class Elsewhere(ScriptedSender):
        async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
            if request is not REQUEST and hangs:
                await asyncio.Event().wait()
            return await super().send(request, read_body=read_body)

    answers: dict[str, Answer] = {
        "tool.example/start": to(location),
        location.removeprefix("https://"): DialFailure(FailureKind.DNS, location),
    }
    report = await run_probe(Elsewhere(script(answers)), Ask(Purpose.AUTH, REQUEST), 0.05)
    kind = FailureKind.TIMEOUT if hangs else FailureKind.DNS
    assert report.outcome.message.startswith(f"{kind.value}: a redirect leads to another host or port")
    assert "canary" not in report.outcome.message
    assert "4711" not in report.outcome.message


@pytest.mark.parametrize("location", ["/next", "https://TOOL.example/", "http://tool.example/"])
async def test_the_tools_own_host_is_said_behind_a_redirect_too(location: str) -> None:
    def answers(origin: str, target: str) -> Answer:
        return to(location) if target == "/start" else DialFailure(FailureKind.REFUSED, "tool.example refuses")

    report = await run_probe(ScriptedSender(answers), Ask(Purpose.AUTH, REQUEST), 10)
    assert report.outcome.message == f"{FailureKind.REFUSED.value}: tool.example refuses"
