from __future__ import annotations

import pytest

from bench.peers.registry import PEERS
from bench.scenarios import SCENARIOS, chosen


def test_keys_are_unique() -> None:
    keys = [one.key for one in SCENARIOS]
    assert sorted(set(keys)) == sorted(keys)


def test_those_that_are_named_in_their_own_order() -> None:
    assert [one.key for one in chosen(["post-1k", "small-32"])] == ["small-32", "post-1k"]


def test_the_quick_ones() -> None:
    assert {one.key for one in chosen(None, quick=True)} == {
        "small-32", "token", "answers-16k", "new-client", "special", "down",
    }  # fmt: skip
    assert chosen(None) == SCENARIOS


def test_an_unknown_key_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no scenario small; there are small-32, "):
        chosen(["small"])


def test_nginx_can_serve_each() -> None:
    nginx = PEERS[0]
    assert nginx.name == "nginx"
    assert all(nginx.able(one.setup) for one in SCENARIOS)
