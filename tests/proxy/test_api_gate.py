from __future__ import annotations

import asyncio

import pytest

from connectors.kube.errors import (
    ForbiddenError,
    InvalidError,
    KubeError,
    UnauthorizedError,
    UnavailableError,
    UnreadableError,
)
from proxy.api_gate import AT_ONCE, IMPATIENCE, PAUSE, ApiGate, UnansweredError
from proxy.failure_budget import FailureBudget
from tests.peers.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def gate(clock: FakeClock) -> ApiGate:
    return ApiGate(clock, FailureBudget(0))


async def ask(gate: ApiGate, failure: KubeError | None = None, *, known: bool = False) -> None:
    async with gate.passed(known=known):
        if failure:
            raise failure


@pytest.mark.parametrize(
    "failure",
    [UnavailableError("away"), ForbiddenError(403, "Forbidden", "no"), UnauthorizedError(401, "Unauthorized", "no")],
)
async def test_after_a_failure_nobody_asks_for_a_while(gate: ApiGate, clock: FakeClock, failure: KubeError) -> None:
    for question in (ask(gate, failure), ask(gate)):
        with pytest.raises(UnansweredError) as unanswered:
            await question
        assert unanswered.value.away
    await clock.advance(PAUSE)
    await ask(gate)
    gate.check_open()


@pytest.mark.parametrize("failure", [InvalidError(422, "Invalid", "odd"), UnreadableError("none")])
async def test_what_is_about_one_question_does_not_keep_others_from_asking(gate: ApiGate, failure: KubeError) -> None:
    with pytest.raises(UnansweredError) as unanswered:
        await ask(gate, failure)
    assert not unanswered.value.away
    await ask(gate)


async def test_who_has_waited_for_a_turn_does_not_ask_an_api_server_that_went_away_meanwhile(gate: ApiGate) -> None:
    asked, failing = 0, asyncio.Event()

    async def stranger() -> None:
        nonlocal asked
        async with gate.passed(known=False):
            asked += 1
            await failing.wait()
            raise UnavailableError("away")

    strangers = [asyncio.create_task(stranger()) for _ in range(2 * AT_ONCE)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked == AT_ONCE
    failing.set()
    outcomes = await asyncio.gather(*strangers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnansweredError] * 2 * AT_ONCE
    assert asked == AT_ONCE


async def test_strangers_do_not_keep_those_waiting_who_are_known(gate: ApiGate) -> None:
    release = asyncio.Event()

    async def stranger() -> None:
        async with gate.passed(known=False):
            await release.wait()

    strangers = [asyncio.create_task(stranger()) for _ in range(2 * AT_ONCE)]
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ask(gate, known=True)
    release.set()
    await asyncio.gather(*strangers)


async def test_nobody_is_prompt_while_it_is_away(gate: ApiGate, clock: FakeClock) -> None:
    with pytest.raises(UnansweredError):
        await ask(gate, UnavailableError("away"))
    with pytest.raises(UnansweredError):
        gate.check_prompt()
    await clock.advance(PAUSE)
    gate.check_prompt()


async def test_a_slow_api_server_is_waited_for_by_those_who_must(gate: ApiGate, clock: FakeClock) -> None:
    assert gate.too_slow().away
    with pytest.raises(UnansweredError):
        gate.check_prompt()
    gate.check_open()
    await clock.advance(IMPATIENCE)
    gate.check_prompt()


async def test_an_outage_is_logged_once(gate: ApiGate, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for _ in range(3):
        with pytest.raises(UnansweredError):
            await ask(gate, UnavailableError("away"))
        await clock.advance(PAUSE)
    await ask(gate)
    await ask(gate)
    assert [record.getMessage() for record in caplog.records] == [
        "the API server does not answer questions about callers, trying again: away",
        "the API server answers questions about callers again",
    ]
