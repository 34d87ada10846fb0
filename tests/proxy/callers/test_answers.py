from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.answers import AnswerSource, CachedReview, Evidence, ReviewCache
from proxy.settings import CallerSettings

TTL = 10.0
MS = 0.001


class Clocks:
    """Two clocks that a test sets."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = 1.7e9
        self.evidence = Evidence(lambda: self.monotonic, lambda: self.wall)
        self.counter: Counter[AnswerSource] = Counter()

    def rests_on(
        self, value: str | None = "yes", *, at: float = 1000.0, ends: float | None = None
    ) -> CachedReview[str]:
        answer = CachedReview(value, at, ends)
        self.evidence.rests_on(answer, at + TTL, self.counter)
        return answer


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_evidence_of_nothing_does_not_hold(clocks: Clocks) -> None:
    assert clocks.evidence.lasting
    assert not clocks.evidence.holds()


@pytest.mark.parametrize("value", ["yes", None])
@pytest.mark.parametrize(("later", "holds"), [(0.0, True), (TTL - MS, True), (TTL, False), (TTL + MS, False)])
def test_an_answer_counts_for_its_time(clocks: Clocks, value: str | None, later: float, holds: bool) -> None:
    clocks.rests_on(value)
    clocks.monotonic += later
    assert clocks.evidence.holds() is holds


@pytest.mark.parametrize(("later", "holds"), [(TTL - 3 - MS, True), (TTL - 3, False)])
@pytest.mark.parametrize("ages", [(3.0, 0.0), (0.0, 3.0), (0.0, 3.0, 1.0)])
def test_the_oldest_of_several_answers_counts(
    clocks: Clocks, ages: tuple[float, ...], later: float, holds: bool
) -> None:
    for age in ages:
        clocks.rests_on(at=1000.0 - age)
    clocks.monotonic += later
    assert clocks.evidence.holds() is holds


@pytest.mark.parametrize(("later", "holds"), [(5 - MS, True), (5.0, False), (6.0, False), (-86400.0, True)])
@pytest.mark.parametrize("order", [(5.0, 7.0, None), (None, 7.0, 5.0)])
def test_no_token_has_ended_by_the_wall_clock(
    clocks: Clocks, order: tuple[float | None, ...], later: float, holds: bool
) -> None:
    for ends in order:
        clocks.rests_on(ends=None if ends is None else clocks.wall + ends)
    clocks.wall += later
    assert clocks.evidence.holds() is holds


def test_a_wall_clock_that_steps_lengthens_nothing(clocks: Clocks) -> None:
    clocks.rests_on(ends=clocks.wall + 3600)
    clocks.wall -= 86400
    clocks.monotonic += TTL
    assert not clocks.evidence.holds()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_an_answer_that_was_replaced_counts_no_more(clocks: Clocks, which: int) -> None:
    answers = [clocks.rests_on(value) for value in ("yes", None, "yes")]
    assert clocks.evidence.holds()
    answers[which].kept = False
    assert not clocks.evidence.holds()


@given(
    st.lists(st.tuples(st.integers(0, 12), st.one_of(st.none(), st.integers(1, 12)), st.booleans()), max_size=4),
    st.integers(0, 12),
    st.integers(-12, 12),
)
def test_it_holds_while_each_answer_does(
    given_answers: list[tuple[int, int | None, bool]], later: int, stepped: int
) -> None:
    clocks = Clocks()
    for age, ends, kept in given_answers:
        answer = clocks.rests_on(at=1000.0 - age, ends=None if ends is None else clocks.wall + ends)
        answer.kept = kept
    clocks.monotonic += later
    clocks.wall += later + stepped
    good = [
        kept and age + later < TTL and (ends is None or later + stepped < ends) for age, ends, kept in given_answers
    ]
    assert clocks.evidence.holds() is (bool(good) and all(good))


def test_each_use_is_counted_as_if_every_answer_were_looked_up(clocks: Clocks) -> None:
    other: Counter[AnswerSource] = Counter()
    clocks.rests_on()
    clocks.rests_on(None)
    clocks.evidence.rests_on(CachedReview("yes", 1000.0, None), 1000.0 + TTL, other)
    assert clocks.counter == {}
    clocks.evidence.count()
    clocks.evidence.count()
    assert (clocks.counter, other) == ({AnswerSource.CACHE: 4}, {AnswerSource.CACHE: 2})


# -- how long an answer counts


@pytest.mark.parametrize(
    ("value", "age", "left", "fresh", "stale"),
    [
        ("yes", 0.0, 1.0, True, True),
        ("yes", TTL - MS, 1.0, True, True),
        ("yes", TTL, 1.0, False, True),
        ("yes", 60.0, 1.0, False, False),
        ("yes", 0.0, 0.0, False, False),
        (None, TTL - MS, 1.0, True, False),
        (None, TTL, 1.0, False, False),
        (None, 0.0, 0.0, True, False),
    ],
)
def test_a_yes_and_a_no_count_for_their_time(
    value: str | None, age: float, left: float, fresh: bool, stale: bool
) -> None:
    """`left`: seconds to the end of the token. One that has ended makes no yes, and a no of it stays one."""
    cache: ReviewCache[str] = ReviewCache(CallerSettings(cache_ttl=TTL, stale_if_error=60.0))
    review = CachedReview(value, 1000.0, 5000.0)
    cache.keep(b"k", review)
    monotonic, wall = 1000.0 + age, 5000.0 - left
    assert cache.fresh(b"k", monotonic, wall) is (review if fresh else None)
    assert cache.stale(b"k", monotonic, wall) is (review if stale else None)


def test_the_newest_answer_alone_is_kept() -> None:
    cache: ReviewCache[str] = ReviewCache(CallerSettings())
    yes, no = CachedReview("yes", 0.0, None), CachedReview[str](None, 1.0, None)
    for review, known in ((yes, True), (no, False), (None, False)):
        cache.keep(b"k", review)
        assert cache.fresh(b"k", 2.0, 0.0) is review
        assert cache.knows(b"k") is known
    assert not yes.kept
    assert not no.kept
