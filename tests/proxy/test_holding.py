from __future__ import annotations

from proxy.holding import MOST, WORTH, Holding, Turn

LIMIT = 100 * MOST


def test_t32_new_ones_first_then_those_that_wait_until_there_is_room_again() -> None:
    holding = Holding(lambda: LIMIT)
    assert holding.look(LIMIT, 10) is Turn.NOTHING
    assert holding.look(LIMIT + 1, 10) is Turn.BEGINS
    assert not holding.has_room(1)
    assert holding.look(LIMIT * 95 // 100, 10) is Turn.GOES_ON
    assert holding.excess == LIMIT * 95 // 100 - LIMIT * 90 // 100
    assert not holding.has_room(1)
    assert holding.look(LIMIT * 9 // 10, 10) is Turn.ENDS
    assert holding.has_room(10)
    assert holding.excess == 0
    assert holding.look(LIMIT, 10) is Turn.NOTHING


def test_t32_between_two_looks_a_new_one_counts_as_what_it_may_hold() -> None:
    holding = Holding(lambda: LIMIT)
    holding.look(LIMIT // 2, 1000)
    assert holding.has_room(1000 + 50)
    assert holding.has_room(500), "fewer than there were"
    assert not holding.has_room(1000 + 51)
    assert not holding.has_room(1000 + 50), "until the next look"
    assert holding.look(LIMIT // 2, 1051) is Turn.ENDS
    assert holding.has_room(1051)


def test_without_a_limit_there_is_always_room() -> None:
    holding = Holding(lambda: 0)
    assert holding.look(1 << 40, 1) is Turn.NOTHING
    assert holding.has_room(1 << 20)


def test_before_the_first_look_there_is_room_and_the_limit_is_asked_once() -> None:
    asked: list[int] = []
    holding = Holding(lambda: asked.append(1) or LIMIT)  # type: ignore[func-returns-value]
    assert holding.has_room(1 << 20)
    assert not asked
    holding.look(0, 0)
    holding.look(0, 0)
    assert len(asked) == 1


def test_t32_memory_is_given_back_once_behind_a_burst() -> None:
    holding = Holding(lambda: 0)
    holding.look(2 * WORTH, 1)
    assert not holding.worth_giving_back()
    holding.look(WORTH + 1, 1)
    assert not holding.worth_giving_back()
    holding.look(WORTH, 1)
    assert holding.worth_giving_back()
    assert not holding.worth_giving_back()
    holding.look(0, 1)
    assert holding.worth_giving_back()
