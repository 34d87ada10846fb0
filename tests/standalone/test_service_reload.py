from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from connectors.objects.connector import ConnectorKey
from connectors.objects.violation import Severity, Violation
from connectors.snapshot import Objects
from connectors.sources.loaded import Ignored, Loaded
from connectors.sources.place import Identity, Problem
from connectors.sources.store import SnapshotStore
from standalone.service import Reloader
from tests.standalone.builders import git, repo

BROKEN = Problem("a.yaml", 3, Identity("Connector", "default", "x"), Violation("spec", "is missing"))
ODD = Problem("a.yaml", 4, Identity("Connector", "default", "x"), Violation("spec", "is odd", Severity.WARNING))
NOTHING = Loaded(Objects())


class Scripted:
    """A source that says what a test has put into it; an exception is raised by watch(), None ends it."""

    def __init__(self) -> None:
        self.now = NOTHING
        self.changes: asyncio.Queue[Loaded | Exception | None] = asyncio.Queue()

    def load(self) -> Loaded:
        return self.now

    async def watch(self) -> AsyncIterator[Loaded]:
        while True:
            change = await self.changes.get()
            if change is None:
                return
            if isinstance(change, Exception):
                raise change
            yield change


def with_connector(name: str) -> Loaded:
    return Loaded(Objects(connectors=(repo(name),), classes=(git(),)))


class Watched:
    """A reloader at work, and the generations that its store went through."""

    def __init__(self) -> None:
        self.source = Scripted()
        self.store = SnapshotStore()
        self.reloader = Reloader(self.source, self.store, first_pause=0.001)
        self._swapped: asyncio.Queue[set[str]] = asyncio.Queue()
        self.store.subscribe(lambda snapshot: self._swapped.put_nowait({key.name for key in snapshot.judgements}))

    async def names(self) -> set[str]:
        """The Connectors of the next snapshot."""
        return await asyncio.wait_for(self._swapped.get(), 5)


@pytest.fixture
async def watched() -> AsyncIterator[Watched]:
    made = Watched()
    task = asyncio.create_task(made.reloader.run())
    yield made
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def test_load_serves_what_is_there() -> None:
    made = Watched()
    made.source.now = with_connector("a")
    await made.reloader.load()
    assert ConnectorKey("default", "a") in made.store.current.judgements


async def test_changes_are_served(watched: Watched) -> None:
    for name in ("a", "b"):
        watched.source.changes.put_nowait(with_connector(name))
        assert await watched.names() == {name}


@pytest.mark.parametrize("end", [RuntimeError("the watch broke"), None], ids=["failed", "ended"])
async def test_watching_goes_on_after_it_broke(
    watched: Watched, end: Exception | None, caplog: pytest.LogCaptureFixture
) -> None:
    watched.source.now = with_connector("meanwhile")
    watched.source.changes.put_nowait(end)
    assert await watched.names() == {"meanwhile"}
    watched.source.changes.put_nowait(with_connector("later"))
    assert await watched.names() == {"later"}
    assert ("the watch broke" in caplog.text) is (end is not None)


async def test_problems_are_said_once_per_change(caplog: pytest.LogCaptureFixture) -> None:
    made = Watched()
    caplog.set_level(logging.INFO)
    for problems in ((BROKEN,), (BROKEN, ODD), (BROKEN, ODD), (ODD,), (BROKEN, ODD)):
        made.source.now = Loaded(Objects(), problems)
        await made.reloader.load()
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "a.yaml:3: Connector default/x: spec: is missing"),
        ("WARNING", "a.yaml:4: Connector default/x: spec: is odd"),
        ("INFO", "no longer: a.yaml:3: Connector default/x: spec: is missing"),
        ("ERROR", "a.yaml:3: Connector default/x: spec: is missing"),
    ]


async def test_rules_that_the_snapshot_found_broken_are_said(caplog: pytest.LogCaptureFixture) -> None:
    made = Watched()
    made.source.now = Loaded(Objects(connectors=(repo(connectorClassName="nope"),)))
    await made.reloader.load()
    assert 'ConnectorClass "nope" not found' in caplog.text


async def test_foreign_kinds_are_named_once(caplog: pytest.LogCaptureFixture) -> None:
    made = Watched()
    caplog.set_level(logging.INFO)
    made.source.now = Loaded(Objects(), ignored=(Ignored("Deployment", "a.yaml"), Ignored("Deployment", "b.yaml")))
    await made.reloader.load()
    await made.reloader.load()
    assert [record.getMessage() for record in caplog.records] == [
        "a.yaml: objects of kind Deployment are not read here and are left alone"
    ]
