from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from connectors.process.heap import Settling, filling, settle, settle_new


class Kept:
    """Something that lives for long."""


@pytest.fixture(scope="module", autouse=True)
def _frozen_again() -> Iterator[None]:
    """As it was: what pytest has collected is frozen for all tests."""
    yield
    settle()


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_lives_is_left_alone_and_still_freed_by_its_last_reference() -> None:
    kept = Kept()
    settle()
    assert gc.get_freeze_count() > 0
    assert not any(item is kept for item in gc.get_objects())
    seen = weakref.ref(kept)
    del kept
    assert seen() is None


def test_cycles_that_are_garbage_already_go_first() -> None:
    first, second = Kept(), Kept()
    vars(first)["other"], vars(second)["other"] = second, first
    seen = weakref.ref(first)
    del first, second
    settle()
    assert seen() is None


def test_cycles_that_were_frozen_go_with_the_next_call() -> None:
    kept = Kept()
    vars(kept)["itself"] = kept
    seen = weakref.ref(kept)
    settle()
    del kept
    assert seen() is not None
    settle()
    assert seen() is None


async def test_settling_happens_once_for_all_that_was_asked() -> None:
    settling = Settling(delay=0.01)
    kept = Kept()
    settling.soon()
    settling.soon()
    async with asyncio.timeout(5):
        while any(item is kept for item in gc.get_objects()):  # noqa: ASYNC110 - the collector has no event
            await asyncio.sleep(0.01)
    later = Kept()
    settling.soon()
    settling.stop()
    await asyncio.sleep(0.05)
    assert any(item is later for item in gc.get_objects())


def test_only_what_is_new_is_visited_and_frozen() -> None:
    settle()
    before, kept = gc.get_freeze_count(), Kept()
    cycle = Kept()
    vars(cycle)["itself"] = cycle
    seen = weakref.ref(cycle)
    del cycle
    settle_new()
    assert seen() is None
    assert gc.get_freeze_count() > before
    assert not any(item is kept for item in gc.get_objects())


def test_what_comes_while_it_fills_is_frozen_unvisited() -> None:
    with filling():
        assert not gc.isenabled()
        kept = Kept()
    assert gc.isenabled()
    assert not any(item is kept for item in gc.get_objects())


def test_the_collector_works_again_after_a_failure() -> None:
    with pytest.raises(ValueError, match="lost"), filling():
        raise ValueError("lost")
    assert gc.isenabled()


async def test_now_and_then_everything_is_settled() -> None:
    settling = Settling(delay=0.0, whole=3)
    kept = Kept()
    vars(kept)["itself"] = kept
    seen = weakref.ref(kept)
    settle()
    del kept
    for settled in (False, False, True):
        settling.soon()
        await asyncio.sleep(0.02)
        assert (seen() is None) is settled
