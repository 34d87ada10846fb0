"""Live reload: keeps the store up to date with the source, and says what is wrong once per change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Protocol

from connectors.model.violation import Severity
from connectors.sources.loaded import Ignored, Loaded
from connectors.sources.problem import Problem
from connectors.sources.store import SnapshotStore
from standalone.findings import Findings

logger = logging.getLogger("connectors.manifests")

FIRST_PAUSE = 0.5
"""Seconds before watching is tried again; doubled with each failure in a row."""
LONGEST_PAUSE = 30.0
"""Seconds: a volume that went away may stay so for long, but its return must not wait for minutes."""

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING}


class Source(Protocol):
    """Where objects come from."""

    def load(self) -> Loaded:
        """Everything there is now; may block."""

    def watch(self) -> AsyncIterator[Loaded]:
        """What has changed, whenever something has."""


class Reloader:
    """Brings what the source says into the store, for as long as the process lives."""

    def __init__(self, source: Source, store: SnapshotStore, first_pause: float = FIRST_PAUSE) -> None:
        """`first_pause`: seconds before watching is tried again after a failure."""
        self._source = source
        self._store = store
        self._first_pause = first_pause
        self._findings = Findings()
        store.subscribe(self._findings.follow)
        self._said: frozenset[str] = frozenset()
        self._ignored: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read everything now and serve it."""
        await self._serve(await asyncio.to_thread(self._source.load))

    async def run(self) -> None:
        """Serve each change. Never ends by itself: after a failure it reads everything again and goes on."""
        pause, failed = self._first_pause, False
        while True:
            try:
                if failed:
                    await self.load()
                async for loaded in self._source.watch():
                    await self._serve(loaded)
                    pause = self._first_pause
            except Exception:
                logger.exception("watching the manifests failed; the last good ones serve, next try in %g s", pause)
            failed = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _serve(self, loaded: Loaded) -> None:
        snapshot = await self._store.follow(loaded.objects if loaded.changes is None else loaded.changes)
        self._say(self._findings.problems(loaded, snapshot))
        self._name(loaded.ignored)

    def _say(self, problems: Iterable[Problem]) -> None:
        """Log what is new and what has gone: a file that stays wrong must not fill the log."""
        now = {str(problem): problem for problem in problems}
        for text, problem in now.items():
            if text not in self._said:
                logger.log(_LEVELS[problem.severity], "%s", text)
        for text in sorted(self._said - now.keys()):
            logger.info("no longer: %s", text)
        self._said = frozenset(now)

    def _name(self, ignored: Iterable[Ignored]) -> None:
        for kind, file in ignored:
            if kind not in self._ignored:
                logger.info("%s: objects of kind %s are not read here and are left alone", file, kind)
                self._ignored |= {kind}
