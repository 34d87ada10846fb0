from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.callers.fair_queue import FairQueue


def order(queue: FairQueue[str], now: float = 0.0, late: Mapping[str, float] | None = None) -> str:
    """All that waits, in the order in which it comes out."""
    owed = late or {}
    return " ".join(queue.pop(now, lambda account: owed.get(account, 0.0))[1] for _ in range(len(queue)))


def filled(*items: str, now: float = 0.0) -> FairQueue[str]:
    """`a1` is an item of the account `a`."""
    queue: FairQueue[str] = FairQueue()
    for item in items:
        queue.add(item[0], item, now)
    return queue


def test_accounts_take_turns() -> None:
    assert order(filled("a1", "a2", "a3", "b1", "c1", "c2")) == "a1 b1 c1 a2 c2 a3"


def test_one_that_comes_later_takes_its_turn_among_those_that_wait() -> None:
    queue = filled("a1", "a2", "a3")
    assert queue.pop(0.0, lambda _: 0.0) == ("a", "a1")
    queue.add("b", "b1", 1.0)
    assert queue.pop(2.0, lambda _: 0.0) == ("a", "a2")
    assert order(queue, 2.0) == "b1 a3"


def test_one_that_owes_something_is_late_and_comes_all_the_same() -> None:
    queue = filled("a1", "b1", "c1")
    queue.add("d", "d1", 4.0)
    queue.add("e", "e1", 8.0)
    assert order(queue, 9.0, {"a": 9.0, "b": 5.0}) == "c1 d1 b1 e1 a1"


def test_what_it_owes_is_looked_at_when_its_turn_comes() -> None:
    queue = filled("a1", "a2", "b1")
    assert queue.pop(0.0, lambda _: 0.0) == ("a", "a1")
    queue.add("c", "c1", 1.0)
    assert order(queue, 1.0, {"b": 2.0}) == "a2 c1 b1"


def test_nothing_waits() -> None:
    with pytest.raises(IndexError):
        filled().pop(0.0, lambda _: 0.0)


@pytest.mark.parametrize(
    ("items", "account", "displaced", "left"),
    [
        (("a1", "a2", "a3", "b1"), "b", "a3", "a1 b1 a2"),
        (("a1", "a2", "b1"), "c", "a2", "a1 b1"),
        (("a1", "a2", "b1"), "b", None, "a1 b1 a2"),
        (("a1", "a2", "b1"), "a", None, "a1 b1 a2"),
        (("a1", "b1"), "c", None, "a1 b1"),
        ((), "c", None, ""),
    ],
)
def test_room_is_made_by_the_one_that_has_most(
    items: tuple[str, ...], account: str, displaced: str | None, left: str
) -> None:
    queue = filled(*items)
    assert queue.displace(account) == displaced
    assert order(queue) == left


STEPS = st.lists(st.tuples(st.sampled_from(["add", "pop", "displace"]), st.sampled_from("abcd"), st.floats(0, 9)))


@given(STEPS)
def test_what_is_put_in_comes_out_once(steps: list[tuple[str, str, float]]) -> None:
    queue: FairQueue[int] = FairQueue()
    within: set[int] = set()
    for number, (step, account, owed) in enumerate(steps):
        if step == "add":
            queue.add(account, number, float(number))
            within.add(number)
        elif step == "pop" and within:
            within.remove(queue.pop(float(number), lambda name, owed=owed: owed if name < "c" else 0.0)[1])  # type: ignore[misc]
        elif step == "displace" and (displaced := queue.displace(account)) is not None:
            within.remove(displaced)
        assert len(queue) == len(within)
        assert len(queue._order) == len(queue._of)
