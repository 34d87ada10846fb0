from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from connectors.snapshot import Changes, Objects, Snapshot
from connectors.sources.store import LARGE, SLICE, NoSnapshotError, SnapshotStore
from tests.builders import connector


def test_before_the_first_snapshot() -> None:
    store = SnapshotStore()
    assert not store.ready
    with pytest.raises(NoSnapshotError):
        _ = store.current


def test_a_swap_serves_and_is_told() -> None:
    store, told = SnapshotStore(), list[Snapshot]()
    store.swap(Objects())
    store.subscribe(told.append)
    store.subscribe(lambda snapshot: told.append(store.current))
    first = store.current
    second = store.swap(Objects((connector(),)))
    assert store.ready
    assert store.current is second
    assert told == [second, second]
    assert (first.generation, second.generation) == (1, 2)


class Ticking:
    """A clock by which each look at it takes a millisecond."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


async def test_while_a_snapshot_is_made_everything_else_goes_on_and_the_one_before_serves() -> None:
    store, seen, turns = SnapshotStore(clock=Ticking()), set[int](), 0
    first = store.swap(Objects())
    many = {item.key: item for item in (connector(f"tool-{number}") for number in range(1000))}
    following = asyncio.create_task(store.follow(Changes(connectors=many)))
    while not following.done():
        turns += 1
        seen.add(store.current.generation)
        await asyncio.sleep(0)
    now = following.result()
    assert turns >= 0.9 * len(many) * 0.001 / SLICE, "each slice of work leaves everything else its turn"
    assert (seen - {now.generation}, store.current) == ({first.generation}, now)
    assert len(store.current.plans) == len(many)
    assert now.changed == tuple(many)


async def test_which_connector_is_known_whether_or_not_it_serves_yet() -> None:
    store, item = SnapshotStore(), connector()
    assert store.connector(item.key) is None
    await store.follow(Changes(connectors={item.key: item}))
    assert store.connector(item.key) is item


async def test_a_snapshot_of_many_changes_is_known_as_one() -> None:
    entered = list[bool]()

    @contextmanager
    def large() -> Iterator[None]:
        entered.append(True)
        yield
        entered.append(store.ready)

    store = SnapshotStore(large=large)
    many = {item.key: item for item in (connector(f"tool-{number}") for number in range(LARGE))}
    await store.follow(Changes(connectors=many))
    assert entered == [True, True], "until it serves"
    few = dict(list(many.items())[:5])
    await store.follow(Changes(connectors={**few, **dict.fromkeys(few)}))
    assert entered == [True, True]


async def test_hearers_are_told_of_what_serves_even_behind_a_call_that_was_cut_off() -> None:
    store, heard = SnapshotStore(), list[tuple[Changes, int]]()
    store.hear(lambda changes, generation: heard.append((changes, generation)))
    first, second = (Changes(connectors={one.key: one}) for one in (connector("a"), connector("b")))
    ticking = SnapshotStore(clock=count().__next__)
    ticking.hear(lambda changes, generation: heard.append((changes, generation)))
    following = asyncio.create_task(ticking.follow(first))
    await asyncio.sleep(0)
    following.cancel()
    await asyncio.wait({following})
    assert not heard
    await ticking.follow(second)
    assert heard == [(first, 1), (second, 1)]
