from __future__ import annotations

import asyncio
import gc
from contextlib import suppress

import pytest

from connectors.kube.errors import ForbiddenError, KubeError, UnavailableError, UnreadableError
from proxy.callers.answers import MAX_REMEMBERED, AnswerSource, Evidence
from proxy.callers.limiter import (
    OUTAGE_PAUSE,
    QUESTIONS_AT_ONCE,
    SLOW_AFTER,
    Asker,
    Limiter,
    Share,
    TooManyFailuresError,
    UnansweredError,
)
from proxy.callers.reviews import Inquiry, Reviews
from proxy.settings import CallerSettings
from tests.peers.clock import FakeClock

AWAY = UnavailableError("away")
TTL = 10.0
MS = 0.001


class Desk:
    """Answers, and an API server that says what `says` holds; None is no, an exception is raised."""

    def __init__(self, *, stale: float = 300.0, rate: float = 0.0) -> None:
        self.clock = FakeClock()
        self.limiter = Limiter(rate)
        self.reviews: Reviews[str] = Reviews(
            self.clock, CallerSettings(cache_ttl=TTL, stale_if_error=stale), self.limiter
        )
        self.says: dict[str, str | KubeError | None] = {"good": "yes", "k": "yes"}
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def get(
        self, key: str, ends: float | None = None, client: str = "c", evidence: Evidence | None = None
    ) -> str | None:
        async def put() -> str | None:
            self.asked.append(key)
            await self.gate.wait()
            answer = self.says.get(key)
            if isinstance(answer, KubeError):
                raise answer
            return answer

        def asker(known: bool) -> Asker:
            return Asker(Share.KNOWN if known else Share.OTHERS, client)

        return await self.reviews.get(Inquiry(key.encode(), put, ends, asker, evidence))

    async def evidence(self, key: str = "k", ends: float | None = None, gathered: Evidence | None = None) -> Evidence:
        """What is gathered of one question, in `gathered` if it is given."""
        evidence = gathered or Evidence(self.clock.monotonic, self.clock.epoch)
        await self.get(key, ends, evidence=evidence)
        return evidence

    async def unanswered(self, key: str, ends: float | None = None) -> None:
        with pytest.raises(UnansweredError):
            await self.get(key, ends)

    def goes_away(self, *keys: str) -> None:
        for key in keys or ("good",):
            self.says[key] = AWAY


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize(("key", "answer"), [("good", "yes"), ("bad", None)])
async def test_yes_and_no_are_remembered_for_a_while(desk: Desk, key: str, answer: str | None) -> None:
    assert await desk.get(key) == answer
    await desk.clock.advance(9.9)
    assert await desk.get(key) == answer
    assert desk.asked == [key]
    await desk.clock.advance(0.2)
    assert await desk.get(key) == answer
    assert desk.asked == [key, key]
    assert desk.reviews.sources == {AnswerSource.API: 2, AnswerSource.CACHE: 1}


async def test_the_time_runs_from_the_question_not_from_the_answer(desk: Desk) -> None:
    """What is revoked behind the API server's look must not live longer for a slow answer."""
    desk.gate.clear()
    asking = asyncio.create_task(desk.get("good"))
    await desk.clock.advance(6)
    desk.gate.set()
    assert await asking == "yes"
    await desk.clock.advance(5)
    await desk.get("good")
    assert len(desk.asked) == 2


async def test_many_at_once_ask_once_and_one_that_leaves_takes_nothing_with_it(desk: Desk) -> None:
    desk.gate.clear()
    waiting = [asyncio.create_task(desk.get("good")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    desk.gate.set()
    assert await asyncio.gather(*waiting[1:]) == ["yes"] * 4
    assert desk.asked == ["good"]


async def test_everybody_who_asked_may_leave(desk: Desk) -> None:
    desk.gate.clear()
    desk.goes_away()
    asking = asyncio.create_task(desk.get("good"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    desk.gate.set()
    await desk.clock.advance(OUTAGE_PAUSE)
    desk.says["good"] = "yes"
    assert await desk.get("good") == "yes"


async def test_no_yes_outlives_its_token(desk: Desk) -> None:
    ends = desk.clock.now().timestamp() + 5
    assert await desk.get("good", ends) == "yes"
    await desk.clock.advance(4.9)
    assert await desk.get("good", ends) == "yes"
    await desk.clock.advance(0.1)
    desk.goes_away()
    await desk.unanswered("good", ends)
    assert len(desk.asked) == 2


async def test_while_the_api_server_is_away_a_yes_counts_for_longer_and_a_no_does_not(desk: Desk) -> None:
    assert await desk.get("good") == "yes"
    assert await desk.get("bad") is None
    desk.goes_away("good", "bad", "new")
    await desk.clock.advance(299)
    assert await desk.get("good") == "yes"
    for key in ("bad", "new"):
        await desk.unanswered(key)
    await desk.clock.advance(1)
    await desk.unanswered("good")
    assert desk.reviews.sources[AnswerSource.STALE] == 1
    assert desk.reviews.sources[AnswerSource.NONE] == 3


async def test_zero_switches_that_off() -> None:
    desk = Desk(stale=0)
    assert await desk.get("good") == "yes"
    desk.goes_away()
    assert await desk.get("good") == "yes"
    await desk.clock.advance(10)
    await desk.unanswered("good")


async def test_an_api_server_that_starts_and_has_not_read_its_roles_yet_is_as_good_as_away(desk: Desk) -> None:
    await desk.get("good")
    await desk.clock.advance(10)
    for key in ("good", "new"):
        desk.says[key] = ForbiddenError(403, "Forbidden", "no")
    for _ in range(2):  # the second within the pause
        assert await desk.get("good") == "yes"
        await desk.unanswered("new")


async def test_no_answer_about_one_caller_lets_that_one_in_no_more(desk: Desk) -> None:
    await desk.get("good")
    await desk.clock.advance(10)
    desk.says["good"] = UnreadableError("odd")
    await desk.unanswered("good")


async def test_a_no_ends_what_an_earlier_yes_allowed(desk: Desk) -> None:
    await desk.get("good")
    await desk.clock.advance(10)
    del desk.says["good"]
    assert await desk.get("good") is None
    await desk.clock.advance(10)
    desk.goes_away()
    await desk.unanswered("good")


@pytest.fixture
def slow_after(monkeypatch: pytest.MonkeyPatch) -> float:
    """The patience of a caller who was let in: real seconds here, of which a test need not wait for three."""
    monkeypatch.setattr("proxy.callers.reviews.SLOW_AFTER", 0.6)
    return 0.6


async def test_an_api_server_that_hangs_is_as_good_as_away_for_who_was_let_in(desk: Desk, slow_after: float) -> None:
    await desk.get("good")
    await desk.clock.advance(10)
    desk.gate.clear()
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await desk.get("good") == "yes"
    assert slow_after <= loop.time() - began < SLOW_AFTER
    began = loop.time()
    assert await desk.get("good") == "yes"  # nobody waits a second time
    assert loop.time() - began < slow_after / 2
    desk.gate.set()


async def test_who_is_not_waited_for_is_asked_about_all_the_same(desk: Desk) -> None:
    """While the API server is slow for others, a caller who was revoked is out as soon as it has answered."""
    await desk.get("good")
    await desk.clock.advance(10)
    desk.limiter.slow(desk.clock.monotonic())
    del desk.says["good"]
    assert await desk.get("good") == "yes"
    for _ in range(5):
        await asyncio.sleep(0)
    assert await desk.get("good") is None
    assert desk.asked == ["good", "good"]


async def test_a_queue_of_our_own_does_not_make_the_api_server_slow(desk: Desk, slow_after: float) -> None:
    for number in range(2 * QUESTIONS_AT_ONCE):
        desk.says[str(number)] = "yes"
        await desk.get(str(number))
    await desk.clock.advance(10)
    desk.gate.clear()
    waiting = [asyncio.create_task(desk.get(str(number))) for number in range(2 * QUESTIONS_AT_ONCE)]
    await asyncio.sleep(slow_after / 2)
    desk.gate.set()
    assert await asyncio.gather(*waiting) == ["yes"] * 2 * QUESTIONS_AT_ONCE
    assert AnswerSource.STALE not in desk.reviews.sources


async def test_strangers_do_not_keep_a_known_caller_waiting_and_a_flood_is_cut_off_in_the_queue() -> None:
    desk = Desk(rate=1.0)
    await desk.get("good")
    await desk.clock.advance(10)
    desk.gate.clear()
    flood = [asyncio.create_task(desk.get(f"bad-{number}", client="flood")) for number in range(500)]
    for _ in range(5):
        await asyncio.sleep(0)
    known = asyncio.create_task(desk.get("good", client="flood"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert desk.asked.count("good") == 2, "its question is on its way already"
    desk.gate.set()
    assert await known == "yes"
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    assert outcomes.count(None) == len(desk.asked) - 2 <= 10 + QUESTIONS_AT_ONCE
    assert sum(isinstance(outcome, TooManyFailuresError) for outcome in outcomes) == 500 - outcomes.count(None)
    assert await desk.get("innocent", client="other") is None, "one address does not use up what is there for all"


async def test_who_was_let_in_long_ago_is_still_known() -> None:
    desk = Desk(stale=20.0, rate=1.0)
    await desk.get("good")
    await desk.clock.advance(60)
    for number in range(100):
        with suppress(TooManyFailuresError):
            await desk.get(f"bad-{number}", client="flood")
    assert await desk.get("good", client="flood") == "yes"


async def test_what_is_refreshed_is_not_the_oldest(desk: Desk) -> None:
    await desk.get("good")
    for number in range(MAX_REMEMBERED - 1):
        desk.says[str(number)] = "yes"
        await desk.get(str(number))
    await desk.clock.advance(10)
    await desk.get("good")
    desk.says["new"] = "yes"
    await desk.get("new")
    assert b"good" in desk.reviews._cache._yes
    assert b"0" not in desk.reviews._cache._yes


async def test_nothing_is_left_that_nobody_looked_at(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.gate.clear()
    desk.goes_away()
    asking = asyncio.create_task(desk.get("good"))
    for _ in range(3):
        await asyncio.sleep(0)
    asking.cancel()
    desk.gate.set()
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert "never retrieved" not in caplog.text


async def test_an_outage_is_no_flood(desk: Desk) -> None:
    desk.goes_away("good", "new")
    for _ in range(3):
        for key in ("good", "new"):
            await desk.unanswered(key)
        await desk.clock.advance(OUTAGE_PAUSE)
    assert len(desk.asked) == 3


async def test_a_flood_of_no_is_cut_off_and_harms_nobody_who_is_known() -> None:
    desk = Desk(rate=1.0)
    assert await desk.get("good") == "yes"
    await desk.clock.advance(10)
    for number in range(10):
        assert await desk.get(f"bad-{number}", client="flood") is None
    for _ in range(3):
        with pytest.raises(TooManyFailuresError):
            await desk.get("bad-10", client="flood")
    assert await desk.get("bad-1", client="flood") is None, "remembered answers cost nothing"
    assert await desk.get("good", client="flood") == "yes", "who was let in is asked about all the same"
    assert await desk.get("also-bad", client="other") is None
    assert len(desk.asked) == 13
    assert desk.reviews.sources[AnswerSource.LIMITED] == 3


async def test_a_flood_pushes_out_nobody_who_was_let_in(desk: Desk) -> None:
    await desk.get("good")
    for number in range(MAX_REMEMBERED + 1):
        await desk.get(f"bad-{number}")
    assert len(desk.reviews._cache._no) == MAX_REMEMBERED
    assert await desk.get("good") == "yes"
    assert desk.asked.count("good") == 1
    await desk.get("bad-0")
    assert desk.asked.count("bad-0") == 2


async def test_many_who_were_let_in_are_bounded_too(desk: Desk) -> None:
    for number in range(MAX_REMEMBERED + 1):
        desk.says[str(number)] = "yes"
        await desk.get(str(number))
    assert len(desk.reviews._cache._yes) == MAX_REMEMBERED


# -- what a decision rests on


async def test_what_has_just_been_asked_for_is_for_one_request(desk: Desk) -> None:
    assert not (await desk.evidence()).lasting
    remembered = await desk.evidence()
    assert remembered.lasting
    assert remembered.holds()
    remembered.count()
    assert desk.reviews.sources == {AnswerSource.API: 1, AnswerSource.CACHE: 2}


@pytest.mark.parametrize("says", ["yes", None])
@pytest.mark.parametrize(("later", "holds"), [(TTL - MS, True), (TTL, False)])
async def test_it_holds_as_long_as_the_answer_is_fresh(desk: Desk, says: str | None, later: float, holds: bool) -> None:
    desk.says["k"] = says
    await desk.evidence()
    await desk.clock.advance(3)
    evidence = await desk.evidence()
    await desk.clock.advance(later - 3)
    assert evidence.holds() is holds
    assert (await desk.evidence()).lasting is holds


async def test_it_ends_with_the_token(desk: Desk) -> None:
    ends = desk.clock.now().timestamp() + 5
    await desk.evidence(ends=ends)
    evidence = await desk.evidence(ends=ends)
    desk.clock.step(5 - MS)
    assert evidence.holds()
    desk.clock.step(MS)
    assert not evidence.holds()


@pytest.mark.parametrize("says", ["yes", "another yes", None])
async def test_a_newer_answer_ends_it(desk: Desk, says: str | None) -> None:
    """By clocks that stand still: it is the newer answer that ends it, whatever the time."""
    await desk.evidence()
    unmoved = await desk.evidence(gathered=Evidence(lambda: 0.0, lambda: 0.0))
    desk.says["k"] = says
    await desk.clock.advance(TTL)
    assert unmoved.holds()
    await desk.evidence()
    assert not unmoved.holds()


async def test_an_answer_that_was_pushed_out_ends_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.callers.answers.MAX_REMEMBERED", 3)
    desk.says |= dict.fromkeys("abc", "yes")
    await desk.evidence("k")
    evidence = await desk.evidence("k")
    for other in ("a", "b"):
        await desk.evidence(other)
    assert evidence.holds()
    await desk.evidence("c")
    assert not evidence.holds()
