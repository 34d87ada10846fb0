"""Live reload: keeps the store up to date with the source, and says what is wrong once per change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from connectors.sources.directory import DirectorySource, Loaded
from connectors.sources.store import SnapshotStore
from standalone.findings import findings

logger = logging.getLogger("connectors.manifests")

FIRST_PAUSE = 0.5
"""Seconds before watching is tried again; doubled with each failure in a row."""
LONGEST_PAUSE = 30.0
"""Seconds: a full inotify table or a volume that went away may stay so for long."""


class Reloader:
    """Brings what the source says into the store, for as long as the process lives."""

    def __init__(self, source: DirectorySource, store: SnapshotStore, first_pause: float = FIRST_PAUSE) -> None:
        self._source = source
        self._store = store
        self._first_pause = first_pause
        self._said: frozenset[str] = frozenset()
        self._ignored: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read everything once and serve it."""
        self._serve(await asyncio.to_thread(self._source.load))

    async def run(self) -> None:
        """Serve each change. Never ends by itself: after a failure it reads everything again and goes on."""
        pause = self._first_pause
        while True:
            try:
                async for loaded in self._source.watch():
                    self._serve(loaded)
                    pause = self._first_pause
            except Exception:  # the root of a task: whatever it was, the next change must still be seen
                logger.exception(
                    "watching the manifests failed; trying again in %g s, serving the last good ones", pause
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _serve(self, loaded: Loaded) -> None:
        self._store.swap(loaded.objects)
        self._say(findings(loaded, self._store.current))
        new = loaded.ignored.keys() - self._ignored
        for kind in sorted(new):
            logger.info("%s: not a kind that is read here, left alone; first seen in %s", kind, loaded.ignored[kind])
        self._ignored |= new

    def _say(self, problems: Iterable[Problem]) -> None:
        """Log what is new, and what has gone, so that a file that stays wrong does not fill the log."""
        now = {str(problem): problem for problem in problems}
        for text, problem in now.items():
            if text not in self._said:
                logger.log(_LEVELS[problem.severity], "%s", text)
        for text in sorted(self._said - now.keys()):
            logger.info("no longer: %s", text)
        self._said = frozenset(now)


_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING}
