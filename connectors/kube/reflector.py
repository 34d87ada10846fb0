"""Keeps a sink up to date with the API server: LIST in pages, WATCH with bookmarks, LIST again after a 410."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from connectors.kube.client import KubeClient, Selector, WatchEvent
from connectors.kube.errors import GoneError, KubeError, SilentError, UnavailableError
from connectors.kube.resources import Resource, metadata_of
from connectors.process.backoff import Backoff
from connectors.process.clock import Clock, SystemClock

logger = logging.getLogger("connectors.kube")

# Objects of a list in one answer: a tenth of a second of work, and with objects as large as they can be 150 MB.
PAGE = 100
# The server ends a watch after a time in this range: all at once would come back at once.
WATCH_SECONDS = (240, 480)
# Seconds. After a watch that ended in order after less than that, the next one waits a little.
SHORT = 1.0
# Seconds after which a watch counts as having worked, even if it brought nothing.
LIVED = 5.0
# Objects whose failure is remembered, so that each is logged once.
NAMED = 1000


class Sink(Protocol):
    """What a reflector feeds. Called on the event loop, never concurrently."""

    def start_list(self) -> None:
        """A complete list begins; it may break off and begin again."""

    def listed(self, raw: Raw) -> None:
        """One object of the list."""

    def end_list(self) -> None:
        """The list is complete: what was there before and was not listed is gone."""

    def changed(self, raw: Raw) -> None:
        """An object was added or modified."""

    def deleted(self, raw: Raw) -> None:
        """An object is gone; `raw` is its last state."""


ALL = Selector()


@dataclass(frozen=True, slots=True)
class Watched:
    """What a reflector follows.

    `anchored`: the list serves only to learn a resourceVersion to watch from (LIST with limit 1, its items are not
    passed on): for sinks that fetch by name what they want, so that a cluster's thousands of other objects are never
    shipped.
    """

    resource: Resource
    selector: Selector = ALL
    metadata_only: bool = False
    anchored: bool = False

    def __str__(self) -> str:
        """For operators: `connectors`, `secrets by name`, `configmaps in NAMESPACE with metadata.name=NAME`."""
        words = [self.resource.plural]
        if self.anchored:
            words.append("by name")
        if self.selector.namespace:
            words.append(f"in {self.selector.namespace}")
        if chosen := ",".join(filter(None, (self.selector.labels, self.selector.fields))):
            words.append(f"with {chosen}")
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Health:
    """How a reflector is doing. `since` is the monotonic time at which `connected` last changed."""

    synced: bool
    connected: bool
    since: float
    problem: str = ""


class Reflector:
    """Follows one resource for as long as `run` runs. It never ends by itself, whatever the API server does.

    `restarts` counts the watches opened after the first one. `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        client: KubeClient,
        watched: Watched,
        sink: Sink,
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.watched = watched
        self.restarts = -1  # the first watch is not a restart
        self._client = client
        self._sink = sink
        self._clock = clock or SystemClock()
        self._chance = chance
        self._backoff = Backoff(chance=chance)
        self._health = Health(synced=False, connected=False, since=self._clock.monotonic())
        self._version = ""
        self._page = PAGE
        self._named: set[tuple[str, str]] = set()
        self._opened_at: float | None = None
        self._delivered = False
        self._gone = False

    @property
    def health(self) -> Health:
        """For readiness and metrics. `synced` stays true once the first list was complete."""
        return self._health

    @property
    def disconnected_seconds(self) -> float:
        """For how long there has been no watch; 0 while there is one."""
        return 0.0 if self._health.connected else self._clock.monotonic() - self._health.since

    async def run(self) -> None:
        """List, watch, and go on after every failure: resume from the last version, with back-off and full jitter."""
        while True:
            self._opened_at, self._delivered = None, False
            problem: KubeError | None = None
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except GoneError as error:
                self._version = ""
                # Nothing has failed: usually a watch is open again one list later.
                if self._gone and self._opened_at is None:
                    self._lost(error)
                self._gone = self._opened_at is None
            except SilentError:
                # Silence alone is not a failure: whether the server is away shows when the next watch is opened.
                pass
            except KubeError as error:
                problem = error
                self._lost(error)
            await self._clock.sleep(self._wait(problem))

    def _wait(self, problem: KubeError | None) -> float:
        """Seconds until the next try; also after a watch that ended in order, if it ended at once."""
        lived = 0.0 if self._opened_at is None else self._clock.monotonic() - self._opened_at
        # A server that ends each watch at once must be asked less and less often, though each was opened.
        if self._delivered or lived >= LIVED:
            self._backoff.reset()
        if problem is None and lived >= SHORT:
            return 0.0
        wait = self._backoff.next()
        if isinstance(problem, UnavailableError) and problem.retry_after:
            wait += problem.retry_after
        return wait

    async def _list(self) -> None:
        watched = self.watched
        self._sink.start_list()
        more, version = "", ""
        while True:
            limit = 1 if watched.anchored else self._page
            try:
                page = await self._client.list_page(
                    watched.resource, watched.selector, limit=limit, more=more, metadata_only=watched.metadata_only
                )
            except GoneError:
                # The pages came too slowly for what the server remembers: the next list asks for all in one answer.
                self._page = 0 if more else PAGE
                raise
            version = page.resource_version
            more = page.more
            if watched.anchored:
                break
            for raw in page.items:
                self._give(self._sink.listed, raw)
            if not more:
                break
        self._page = PAGE
        self._named.clear()
        self._sink.end_list()
        self._version = version
        self._set(synced=True)

    async def _watch(self) -> None:
        low, high = WATCH_SECONDS
        watched = self.watched
        events = self._client.watch(
            watched.resource,
            watched.selector,
            self._version,
            timeout=round(low + (high - low) * self._chance()),
            metadata_only=watched.metadata_only,
            opened=self._opened,
        )
        async with aclosing(events):
            async for event in events:
                self._take(event)

    def _take(self, event: WatchEvent) -> None:
        # A bookmark is not news: a watch that ends right after one would come back without a pause.
        self._delivered = self._delivered or event.kind != "BOOKMARK"
        if event.kind in {"ADDED", "MODIFIED"}:
            self._give(self._sink.changed, event.raw)
        elif event.kind == "DELETED":
            self._give(self._sink.deleted, event.raw)
        # Of bookmarks too: without them, a quiet resource's version is soon too old to resume from.
        self._version = metadata_of(event.raw).resource_version or self._version

    def _give(self, take: Callable[[Raw], None], raw: Raw) -> None:
        try:
            take(raw)
        except Exception as error:  # noqa: BLE001 - one object that no code of ours expected must not stop all others
            metadata = metadata_of(raw)
            key = (metadata.namespace, metadata.name)
            if key in self._named or len(self._named) >= NAMED:
                return
            self._named.add(key)
            # Neither the body nor the error's text: both may quote a Secret.
            logger.error(
                "%s %s/%s cannot be taken in and is left out: %s",
                self.watched.resource.kind, *key, type(error).__name__,
            )  # fmt: skip

    def _opened(self) -> None:
        self.restarts += 1
        self._opened_at = self._clock.monotonic()
        if self._health.problem:
            away = self._opened_at - self._health.since
            logger.info("watch on %s is back after %.1f s", self.watched, away)
        self._set(connected=True)

    def _lost(self, error: KubeError) -> None:
        # Once: an API server that is away for an hour is one line.
        if not self._health.problem:
            logger.warning("no watch on %s, trying again: %s", self.watched, error)
        self._set(connected=False, problem=str(error))

    def _set(self, *, synced: bool | None = None, connected: bool | None = None, problem: str | None = None) -> None:
        old = self._health
        now_connected = old.connected if connected is None else connected
        self._health = Health(
            synced=old.synced if synced is None else synced,
            connected=now_connected,
            since=old.since if now_connected == old.connected else self._clock.monotonic(),
            problem="" if connected else old.problem if problem is None else problem,
        )
