"""What tests of followers share: objects, a sink that writes down, a task that ends with its block, a hurried clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from msgspec import Raw

from connectors.kube.client import KubeClient
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SECRETS, metadata_of
from tests.peers.fake_api_server import FakeApiServer

ALL_SECRETS = Watched(SECRETS)


class News:
    """Somebody waits here until something is true; whoever changes something calls `poke`."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def poke(self) -> None:
        self._event.set()

    async def until(self, true: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self._event.clear()
                await self._event.wait()


class WrittenDown(News):
    """A Sink: (what, name) for each call; `present` is what a follower would hold, name -> uid."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []
        self.present: dict[str, str] = {}
        self.raising: set[str] = set()
        self._listing: dict[str, str] = {}

    def start_list(self) -> None:
        self._listing = {}
        self._note("start_list")

    def listed(self, raw: Raw) -> None:
        name = self._note("listed", raw)
        self._listing[name] = metadata_of(raw).uid

    def end_list(self) -> None:
        self.present = self._listing
        self._note("end_list")

    def changed(self, raw: Raw) -> None:
        name = metadata_of(raw).name
        self.present[name] = metadata_of(raw).uid
        self._note("changed", raw)

    def deleted(self, raw: Raw) -> None:
        self.present.pop(metadata_of(raw).name, None)
        self._note("deleted", raw)

    def count(self, what: str) -> int:
        return sum(call[0] == what for call in self.calls)

    def _note(self, what: str, raw: Raw | None = None) -> str:
        name = metadata_of(raw).name if raw is not None else ""
        self.calls.append((what, name))
        self.poke()
        if name in self.raising:
            raise ValueError("the value is canary-secret")
        return name


class HurriedClock:
    """A Clock on which a minute passes in `60 / pace` seconds: long outages in short tests. `waits`: each sleep."""

    def __init__(self, pace: float = 100.0) -> None:
        self.waits: list[float] = []
        self._pace = pace

    def monotonic(self) -> float:
        return time.monotonic() * self._pace

    def now(self) -> datetime:
        return datetime.now(UTC)

    def epoch(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(seconds / self._pace)


class Follower:
    """A reflector of all Secrets, running, with what it was told."""

    def __init__(self, server: FakeApiServer, client: KubeClient, watched: Watched = ALL_SECRETS) -> None:
        self.server = server
        self.sink = WrittenDown()
        self.reflector = Reflector(client, watched, self.sink, HurriedClock())

    async def holds(self, *names: str) -> None:
        """Wait until the sink has these objects, and as they are on the server."""

        def same() -> bool:
            stored = {entry["metadata"]["name"]: entry["metadata"]["uid"] for entry in self.server.all(SECRETS)}
            return set(self.sink.present) == set(names) and self.sink.present == stored

        await self.sink.until(same)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Runs beside the block; ended with it, and what it raised is raised."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
