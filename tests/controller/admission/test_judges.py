"""Threat 36: what is judged, is judged in time, or not at all; and never in the way of others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from controller.admission.judges import MOST_WAITING, SMALL_QUESTION, JudgeProcesses, NotJudgedError
from controller.admission.review import ReviewError, decode_review
from tests.controller.admission.failing_judge import CRASH, SLOW
from tests.controller.admission.reviews import body, connector, connector_class

REVIEW = body(connector())
LARGE = b" " * SMALL_QUESTION + REVIEW
SECONDS = 1.0


@pytest.fixture
async def judges() -> AsyncIterator[JudgeProcesses]:
    """Processes that take forever over some bodies, and end over others."""
    made = JudgeProcesses(SECONDS, "tests.controller.admission.failing_judge")
    made.start()
    async with asyncio.timeout(30):
        assert await made.read(REVIEW) == decode_review(REVIEW)
        assert await made.read(LARGE) == decode_review(REVIEW)
    yield made
    await made.stop()


async def test_what_is_asked_at_once_is_answered_when_they_have_begun() -> None:
    made = JudgeProcesses()
    made.start()
    verdict = await made.class_verdict(body(connector_class(params=[{"name": "a", "type": "x"}])), [])
    assert not verdict.allowed
    with pytest.raises(ReviewError):
        await made.read(b"no review")
    await made.stop()


async def test_t36_one_that_takes_too_long_is_refused_and_the_others_are_judged(
    judges: JudgeProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    begun = loop.time()
    slow = asyncio.create_task(judges.read(SLOW))
    waiting = [asyncio.create_task(judges.read(REVIEW)) for _ in range(5)]
    with pytest.raises(NotJudgedError, match="longer than 1 s"):
        await slow
    assert loop.time() - begun < SECONDS + 5
    async with asyncio.timeout(30):
        assert await asyncio.gather(*waiting) == [decode_review(REVIEW)] * 5
    assert judges.restarts == 1
    assert all("slow" not in message or "takes longer" in message for message in caplog.messages)


async def test_t36_large_ones_are_in_no_small_one_s_way(judges: JudgeProcesses) -> None:
    slow = asyncio.create_task(judges.read(SLOW + LARGE))
    await asyncio.sleep(0.1)  # for it to be begun
    assert await judges.read(REVIEW) == decode_review(REVIEW)
    assert not slow.done()
    with pytest.raises(NotJudgedError):
        await slow


async def test_t36_a_process_that_ends_takes_its_own_question_with_it_and_no_other(
    judges: JudgeProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    crashing = asyncio.create_task(judges.read(CRASH))
    waiting = asyncio.create_task(judges.read(REVIEW))
    with pytest.raises(NotJudgedError, match="ended over it"):
        await crashing
    async with asyncio.timeout(30):
        assert await waiting == decode_review(REVIEW)


async def test_t36_so_many_wait_and_no_more(judges: JudgeProcesses) -> None:
    slow = asyncio.create_task(judges.read(SLOW))
    await asyncio.sleep(0.1)  # for it to be begun
    waiting = [asyncio.create_task(judges.read(REVIEW)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(NotJudgedError, match="too many"):
        await judges.read(REVIEW)
    # Those whose clients have gone make room at once.
    for task in waiting[:3]:
        task.cancel()
    await asyncio.gather(*waiting[:3], return_exceptions=True)
    late = asyncio.create_task(judges.read(REVIEW))
    with pytest.raises(NotJudgedError):
        await slow
    async with asyncio.timeout(30):
        assert await asyncio.gather(late, *waiting[3:]) == [decode_review(REVIEW)] * (MOST_WAITING - 2)


async def test_an_end_in_between_leaves_nobody_waiting(judges: JudgeProcesses) -> None:
    slow = asyncio.create_task(judges.read(SLOW))
    await asyncio.sleep(0.1)  # for it to be begun
    await judges.stop()
    with pytest.raises(NotJudgedError):
        await slow


async def test_t36_an_error_in_the_rules_is_a_no(caplog: pytest.LogCaptureFixture) -> None:
    made = JudgeProcesses()
    made.start()
    found = decode_review(body(connector_class("canary")))
    assert found.new is not None
    with pytest.raises(NotJudgedError, match="could not be applied"):
        await made.violations("canary")  # type: ignore[arg-type]
    assert "ValidationError" in caplog.text
    assert "canary" not in caplog.text
    await made.stop()
