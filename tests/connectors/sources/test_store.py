from __future__ import annotations

import pytest

from connectors.snapshot import Objects, Snapshot
from connectors.sources.store import NoSnapshotError, SnapshotStore
from tests.connectors.builders import connector


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
