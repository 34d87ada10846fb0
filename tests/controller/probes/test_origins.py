from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.probes.origins import Origins


def test_who_is_first_in_line_gets_the_place() -> None:
    origins: Origins[str] = Origins(1)
    assert origins.enter("tool", "a")
    assert not origins.enter("tool", "b")
    assert not origins.enter("tool", "c")
    assert origins.enter("other", "d")
    assert origins.leave("tool") == "b"
    assert not origins.enter("tool", "e"), "the place is kept for b"
    assert origins.enter("tool", "b")
    assert origins.leave("tool") == "c"
    assert origins.decline("c") == "e"
    assert origins.enter("tool", "e")
    assert origins.leave("tool") is None
    assert origins.enter("tool", "f")


def test_groups_take_turns_in_line() -> None:
    origins: Origins[str] = Origins(1, lambda key: key[0])
    assert origins.enter("tool", "a0")
    for key in ("a1", "a2", "b1", "a3", "b2"):
        assert not origins.enter("tool", key)
    order = []
    while (named := origins.leave("tool")) is not None:
        assert origins.keeps(named)
        assert origins.enter("tool", named)
        assert not origins.keeps(named)
        order.append(named)
    assert order == ["a1", "b1", "a2", "b2", "a3"]


def test_who_wants_another_origin_by_now_lets_the_next_one_in() -> None:
    origins: Origins[str] = Origins(1)
    assert origins.enter("tool", "a")
    assert not origins.enter("tool", "b")
    assert origins.leave("tool") == "b"
    assert origins.decline("b", "tool") is None, "it still wants this one"
    assert origins.decline("b", "other") is None, "nobody waits"
    assert origins.enter("other", "b")
    assert origins.enter("tool", "c")


def test_who_stood_in_line_elsewhere_leaves_no_place_behind() -> None:
    origins: Origins[str] = Origins(1)
    assert origins.enter("old", "a")
    assert origins.enter("new", "b")
    assert not origins.enter("old", "moved")
    assert origins.decline("moved", "new") is None
    assert not origins.enter("new", "moved")
    assert origins.leave("old") is None, "it no longer wants that one"
    assert origins.leave("new") == "moved"
    assert origins.decline("moved", "new") is None
    assert origins.enter("new", "moved")
    assert origins.leave("new") is None
    assert origins.enter("old", "c")
    assert origins.enter("new", "d")


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y"]), st.booleans()), max_size=60))
def test_never_more_than_the_limit_and_nobody_waits_for_ever(steps: list[tuple[str, str, bool]]) -> None:
    origins: Origins[str] = Origins(2)
    inside: list[tuple[str, str]] = []
    wanted: dict[str, str] = {}
    waiting: set[str] = set()

    def work(key: str) -> None:
        origin = wanted.get(key)
        named = origins.decline(key, origin)
        if named:
            work(named)
        waiting.discard(key)
        if origin is None or (key, origin) in inside:
            return
        if origins.enter(origin, key):
            inside.append((key, origin))
            assert sum(1 for _, at in inside if at == origin) <= 2
        else:
            waiting.add(key)

    for key, origin, gone in steps:
        if gone:
            wanted.pop(key, None)
        else:
            wanted[key] = origin
            if not any(held == key for held, _ in inside):
                work(key)
    while inside:
        key, origin = inside.pop(0)
        if named := origins.leave(origin):
            work(named)
    assert not waiting & wanted.keys()
