"""Groups of keys, which take turns."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.queue import Turns


def group(key: str) -> str:
    return key[0]


def made(*keys: str, limit: float = 100) -> Turns[str]:
    turns = Turns(group, limit)
    for key in keys:
        turns.add(key)
    return turns


def taken(turns: Turns[str]) -> list[str]:
    found = []
    while (key := turns.take()) is not None:
        found.append(key)
    return found


def test_by_default_the_first_to_come_is_the_first() -> None:
    turns = Turns[str]()
    for key in ("a1", "a2", "b1"):
        turns.add(key)
    assert taken(turns) == ["a1", "a2", "b1"]


def test_groups_take_turns() -> None:
    assert taken(made("a1", "a2", "a3", "b1", "b2", "c1")) == ["a1", "b1", "c1", "a2", "b2", "a3"]


def test_one_may_be_the_first_of_its_group_and_of_no_other() -> None:
    turns = made("a1", "b1", "b2")
    turns.add("b0", first=True)
    assert taken(turns) == ["a1", "b0", "b1", "b2"]


def test_a_group_has_so_many_at_work() -> None:
    turns = made("a1", "a2", "a3", "b1", limit=2)
    assert taken(turns) == ["a1", "b1", "a2"]
    turns.add("a0", first=True)
    turns.done("b1")
    assert taken(turns) == []
    turns.done("a1")
    assert taken(turns) == ["a0"]
    turns.done("a2")
    turns.done("a0")
    assert taken(turns) == ["a3"]


def test_a_group_that_is_alone_has_all_the_room_until_another_comes() -> None:
    turns = made("a1", "a2", "a3", "a4", limit=1)
    assert [turns.take() for _ in range(3)] == ["a1", "a2", "a3"]
    turns.add("b1")
    assert taken(turns) == ["b1"]
    for key in ("b1", "a1", "a2"):
        turns.done(key)
        assert taken(turns) == [], "it is remembered that there is another"
    turns.done("a3")
    assert taken(turns) == ["a4"]


def test_what_waits_is_dropped_and_what_is_at_work_still_counts() -> None:
    turns = made("b1", "a1", "a2", "a3", limit=1)
    assert taken(turns) == ["b1", "a1"]
    turns.clear()
    for key in ("b2", "a4"):
        turns.add(key)
    assert taken(turns) == []
    turns.done("a1")
    assert taken(turns) == ["a4"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=60), st.integers(1, 3))
def test_none_is_lost_and_none_is_too_many(steps: list[tuple[str, bool, bool]], limit: int) -> None:
    turns, added, working, worked = made("a", "b", limit=limit), {"a", "b"}, list[str](), list[str]()
    working += taken(turns)
    for number, (name, first, ends) in enumerate(steps):
        turns.add(key := f"{name}{number}", first=first)
        added.add(key)
        working += taken(turns)
        assert all([group(one) for one in working].count(which) <= limit for which in "abc")
        if ends and working:
            turns.done(working[0])
            worked.append(working.pop(0))
            working += taken(turns)
    while working:
        turns.done(working[0])
        worked.append(working.pop(0))
        working += taken(turns)
    assert sorted(worked) == sorted(added)
