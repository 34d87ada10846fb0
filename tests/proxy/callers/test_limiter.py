from __future__ import annotations

import pytest

from connectors.kube.errors import (
    ForbiddenError,
    InvalidError,
    KubeError,
    UnauthorizedError,
    UnavailableError,
    UnreadableError,
)
from connectors.objects.reasons import RefusedError
from proxy.callers.limiter import (
    BURST_SECONDS,
    OUTAGE_PAUSE,
    OVERALL,
    PATIENCE,
    QUESTIONS_AT_ONCE,
    REFUSED_AT_ONCE,
    SLOW_FOR,
    Asker,
    Limiter,
    Share,
    TooManyFailuresError,
    UnansweredError,
)

NOW = 1000.0


def asker(account: str = "c", *, known: bool = False) -> Asker:
    return Asker(Share.KNOWN if known else Share.OTHERS, account)


class Waiting:
    """A question that wants to be asked; `told` is what it has heard, at once or later."""

    def __init__(self, limiter: Limiter, now: float = NOW, client: str = "c", *, known: bool = False) -> None:
        self.told: list[RefusedError | None] = []
        try:
            if limiter.enter(asker(client, known=known), self.told.append, now):
                self.told.append(None)
        except (UnansweredError, TooManyFailuresError) as error:
            self.told.append(error)

    @property
    def may_ask(self) -> bool:
        return self.told == [None]


def ask(limiter: Limiter, now: float = NOW, failure: KubeError | None = None, *, known: bool = False) -> None:
    """One question from its begin to its end."""
    (refused,) = Waiting(limiter, now, known=known).told
    if refused:
        raise refused
    try:
        if failure:
            raise limiter.unanswered(failure, now)
        limiter.answered()
    finally:
        limiter.leave(asker(known=known), now)


@pytest.fixture
def limiter() -> Limiter:
    return Limiter(0)


@pytest.mark.parametrize(
    "failure",
    [UnavailableError("away"), ForbiddenError(403, "Forbidden", "no"), UnauthorizedError(401, "Unauthorized", "no")],
)
def test_after_a_failure_no_question_is_asked_for_a_while(limiter: Limiter, failure: KubeError) -> None:
    for told in (failure, None):
        with pytest.raises(UnansweredError) as unanswered:
            ask(limiter, failure=told)
        assert unanswered.value.away
    ask(limiter, NOW + OUTAGE_PAUSE)
    ask(limiter, NOW + OUTAGE_PAUSE)


@pytest.mark.parametrize("failure", [InvalidError(422, "Invalid", "odd"), UnreadableError("none")])
def test_what_is_about_one_question_does_not_keep_others_from_asking(limiter: Limiter, failure: KubeError) -> None:
    with pytest.raises(UnansweredError) as unanswered:
        ask(limiter, failure=failure)
    assert not unanswered.value.away
    ask(limiter)


def test_who_has_waited_for_a_turn_does_not_ask_an_api_server_that_went_away_meanwhile(limiter: Limiter) -> None:
    strangers = [Waiting(limiter) for _ in range(2 * QUESTIONS_AT_ONCE)]
    asked, waiting = strangers[:QUESTIONS_AT_ONCE], strangers[QUESTIONS_AT_ONCE:]
    assert all(stranger.may_ask for stranger in asked)
    assert not any(stranger.told for stranger in waiting)
    for _ in asked:
        limiter.unanswered(UnavailableError("away"), NOW)
        limiter.leave(asker(), NOW)
    assert [type(told) for stranger in waiting for told in stranger.told] == [UnansweredError] * QUESTIONS_AT_ONCE


def test_a_place_that_is_left_goes_to_the_one_that_waits_longest(limiter: Limiter) -> None:
    strangers = [Waiting(limiter) for _ in range(QUESTIONS_AT_ONCE + 2)]
    limiter.leave(asker(), NOW)
    assert [stranger.may_ask for stranger in strangers[-2:]] == [True, False]


def test_an_outage_is_told_at_once_however_many_wait(limiter: Limiter) -> None:
    for _ in range(QUESTIONS_AT_ONCE + 1):
        Waiting(limiter)
    limiter.unanswered(UnavailableError("away"), NOW)
    (told,) = Waiting(limiter).told
    assert isinstance(told, UnansweredError)


def test_strangers_do_not_keep_those_waiting_who_are_known(limiter: Limiter) -> None:
    for _ in range(2 * QUESTIONS_AT_ONCE):
        Waiting(limiter)
    ask(limiter, known=True)


def test_no_answer_is_prompt_while_it_is_away(limiter: Limiter) -> None:
    with pytest.raises(UnansweredError):
        ask(limiter, failure=UnavailableError("away"))
    with pytest.raises(UnansweredError):
        limiter.require_prompt(NOW)
    limiter.require_prompt(NOW + OUTAGE_PAUSE)


def test_a_slow_api_server_is_waited_for_by_those_who_must(limiter: Limiter) -> None:
    assert limiter.slow(NOW).away
    with pytest.raises(UnansweredError):
        limiter.require_prompt(NOW)
    ask(limiter)
    limiter.require_prompt(NOW + SLOW_FOR)


def test_an_outage_is_logged_once(limiter: Limiter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for number in range(3):
        with pytest.raises(UnansweredError):
            ask(limiter, NOW + number * OUTAGE_PAUSE, UnavailableError("away"))
    ask(limiter, NOW + 3 * OUTAGE_PAUSE)
    ask(limiter, NOW + 3 * OUTAGE_PAUSE)
    assert [record.getMessage() for record in caplog.records] == [
        "the API server does not answer questions about callers, trying again: away",
        "the API server answers questions about callers again",
    ]


# -- failures


RATE = 2.0
BURST = int(RATE * BURST_SECONDS)


def spend(limiter: Limiter, client: str, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        limiter.failed(asker(client), now)


def allows(limiter: Limiter, client: str, now: float) -> bool:
    """Whether a question about an unknown token of this client's may be asked."""
    waiting = Waiting(limiter, now, client)
    if waiting.may_ask:
        limiter.leave(asker(), now)
    else:
        assert [type(told) for told in waiting.told] == [TooManyFailuresError]
    return waiting.may_ask


def test_a_burst_then_nothing_then_the_rate() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", BURST - 1)
    assert allows(limiter, "a", 0.0)
    spend(limiter, "a", 1)
    assert not allows(limiter, "a", 0.0)
    assert allows(limiter, "a", 1 / RATE)
    spend(limiter, "a", 1, now=1 / RATE)
    assert not allows(limiter, "a", 1 / RATE)


def test_another_client_does_not_suffer() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", BURST)
    assert allows(limiter, "b", 0.0)


def test_what_was_under_way_leaves_a_debt_of_one_burst_at_most() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", 100 * BURST)
    assert not allows(limiter, "a", BURST_SECONDS)
    assert allows(limiter, "a", BURST_SECONDS + 0.1)


def test_nobody_saves_up_more_than_a_burst() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", 1)
    spend(limiter, "a", BURST, now=1e6)
    assert not allows(limiter, "a", 1e6)


def exhausted(limiter: Limiter, now: float = 0.0) -> Limiter:
    """All addresses together have failed as often as they may, each of them as often as it may."""
    for number in range(OVERALL):
        spend(limiter, f"client-{number}", BURST, now)
    return limiter


def test_a_flood_from_many_addresses_is_one_flood() -> None:
    limiter = Limiter(RATE)
    for number in range(OVERALL * BURST):
        assert allows(limiter, f"client-{number}", 0.0)
        limiter.failed(asker(f"client-{number}"), 0.0)
    another = Waiting(limiter, 0.0, "yet another")
    assert not another.told, "it waits"
    assert limiter.pause(0.0) == pytest.approx(0.0, abs=0.001)
    limiter.wake(0.1)
    assert another.may_ask


def test_t33_the_first_turn_is_for_the_address_that_owes_least() -> None:
    limiter = exhausted(Limiter(RATE))
    spend(limiter, "client-0", 12, 0.6)
    flood = [Waiting(limiter, 0.6, f"client-{number}") for number in range(1, OVERALL)]
    new = [Waiting(limiter, 0.6, "new") for _ in range(QUESTIONS_AT_ONCE)]
    assert not any(one.told for one in (*flood, *new))
    limiter.wake(0.7)
    assert all(one.may_ask for one in new)
    assert not any(one.told for one in flood)
    limiter.leave(asker(), 0.7)
    assert [one.may_ask for one in flood] == [True] + [False] * (OVERALL - 2), "what is left is theirs"


def test_who_does_not_get_its_turn_in_time_hears_so_at_once_and_the_most_insistent_first() -> None:
    limiter = exhausted(Limiter(RATE))
    room = int(RATE * OVERALL * PATIENCE)
    many = [Waiting(limiter, 0.0, "insistent") for _ in range(room)]
    assert not any(one.told for one in many)
    another = Waiting(limiter, 0.0, "another")
    assert not another.told
    assert [len(one.told) for one in many[-2:]] == [0, 1]
    (refused,) = many[-1].told
    assert isinstance(refused, TooManyFailuresError)
    assert refused.refusal.retry_after == PATIENCE
    (refused,) = Waiting(limiter, 0.0, "insistent").told
    assert isinstance(refused, TooManyFailuresError)
    assert "come at once" in refused.refusal.message


def test_shares_cannot_use_each_other_up() -> None:
    limiter = exhausted(Limiter(RATE))
    for _ in range(2 * QUESTIONS_AT_ONCE):
        Waiting(limiter, 0.0, "new")
    vouched = [Asker(Share.VOUCHED, f"tenant {number}") for number in range(OVERALL)]
    heard: list[RefusedError | None] = []
    assert limiter.enter(vouched[0], heard.append, 0.0)
    for one in vouched:
        for _ in range(BURST):
            limiter.failed(one, 0.0)
    assert Waiting(limiter, 0.0, "a", known=True).may_ask
    assert not limiter.enter(Asker(Share.VOUCHED, "another"), heard.append, 0.0)
    assert not heard
    limiter.wake(0.1)
    assert heard == [None]


@pytest.mark.parametrize(("count", "seconds"), [(BURST, 1), (BURST + 1, 1), (BURST + 7, 4), (999, 11)])
def test_a_refusal_says_when_to_come_again(count: int, seconds: int) -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", count)
    (refused,) = Waiting(limiter, 0.0, "a").told
    assert isinstance(refused, TooManyFailuresError)
    assert refused.refusal.retry_after == seconds
    assert allows(limiter, "a", seconds + 0.0)


def test_without_a_rate_nothing_is_counted() -> None:
    limiter = Limiter(0)
    spend(limiter, "a", 10_000)
    assert allows(limiter, "a", 0.0)


def test_many_addresses_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.callers.limiter.MAX_WAITING", 3)
    limiter = Limiter(0)
    for _ in range(QUESTIONS_AT_ONCE):
        Waiting(limiter)
    told = [Waiting(limiter, client=str(number)).told for number in range(5)]
    assert [len(heard) for heard in told] == [0, 0, 0, 1, 1]


def test_a_client_of_no_known_address_is_not_everybody() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "", BURST)
    assert not allows(limiter, "", 0.0)
    assert allows(limiter, "a", 0.0)


@pytest.mark.parametrize("rate", [0.1, 0.3, 3.0, 7.0, 10.0])
@pytest.mark.parametrize("now", [0.0, 1e7])
def test_a_burst_is_a_burst_at_any_rate_and_time(rate: float, now: float) -> None:
    limiter = Limiter(rate)
    for _ in range(round(rate * BURST_SECONDS)):
        assert allows(limiter, "a", now)
        limiter.failed(asker("a"), now)
    assert not allows(limiter, "a", now)
    assert allows(limiter, "a", now + 1 / rate)


def test_who_is_known_may_ask_whatever_failed() -> None:
    limiter = Limiter(RATE)
    spend(limiter, "a", 100 * BURST)
    assert Waiting(limiter, 0.0, "a", known=True).may_ask


def test_many_that_wait_are_refused_as_soon_as_too_many_before_them_failed() -> None:
    limiter = Limiter(RATE)
    asked, waiting = ([Waiting(limiter, client="a") for _ in range(QUESTIONS_AT_ONCE)] for _ in range(2))
    spend(limiter, "a", BURST, NOW)
    for _ in asked:
        limiter.leave(asker(), NOW)
    assert [type(told) for one in waiting for told in one.told] == [TooManyFailuresError] * QUESTIONS_AT_ONCE
    assert allows(limiter, "b", NOW)


def test_a_great_many_that_wait_are_refused_in_parts() -> None:
    limiter = Limiter(RATE)
    for _ in range(QUESTIONS_AT_ONCE):
        Waiting(limiter, client="a")
    waiting = [Waiting(limiter, client="a") for _ in range(2 * REFUSED_AT_ONCE + 1)]
    assert limiter.pause(NOW) is None, "all places are taken"
    spend(limiter, "a", BURST, NOW)
    limiter.leave(asker(), NOW)
    for parts in (1, 2):
        assert sum(len(one.told) for one in waiting) == parts * REFUSED_AT_ONCE
        assert limiter.pause(NOW) == 0.0
        limiter.wake(NOW)
    assert all(one.told for one in waiting)
    assert limiter.pause(NOW) is None


def test_who_has_no_failures_left_does_not_even_wait() -> None:
    limiter = Limiter(RATE)
    for _ in range(QUESTIONS_AT_ONCE):
        Waiting(limiter)
    spend(limiter, "a", BURST, NOW)
    assert [type(told) for told in Waiting(limiter, client="a").told] == [TooManyFailuresError]
    assert not Waiting(limiter, client="b").told
