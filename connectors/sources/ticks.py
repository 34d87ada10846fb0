"""When to look at the files again, and when they have come to rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

from watchfiles import awatch

from connectors.sources.files import Listing

logger = logging.getLogger("connectors.manifests")

INTERVAL = 0.5
"""Seconds between looks when nothing is reported: reports do not cover what links lead to, nor network file systems."""
SHARE = 0.1
"""Of a core, at most, for looking at everything again and again: with 10,000 files one look takes 50 ms and more."""
LONGEST = 0.9
"""Seconds between two looks at everything, however long they take."""
REST = 0.1
"""Seconds without a change after which a file counts as written to its end."""
PATIENCE = 1.0
"""Seconds after which files are read though they still change."""
_STEP = 0.05


async def ticks(paths: Sequence[Path]) -> AsyncGenerator[frozenset[str] | None, None]:
    """None, for a look at everything: at once, and every INTERVAL seconds. In between, what the system reports.

    Where the last look at everything took long, the next one comes later: see SHARE.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    yield None
    due = began + _pause(clock() - began)
    present = [path for path in paths if path.exists()]
    try:
        async with aclosing(_reports(present)) as reports:
            async for reported in reports:
                # Also where a look at everything is due: that would wait, all files once more each time, for one file
                # to come to rest.
                if reported:
                    yield reported
                if clock() >= due:
                    began = clock()
                    yield None
                    due = clock() + _pause(clock() - began)
    except OSError as error:
        # The table of watches is full, or a path has gone since.
        logger.warning("changes are looked for every %g s, since the system does not report them: %s", INTERVAL, error)
    while True:
        await asyncio.sleep(INTERVAL)
        yield None


def _pause(took: float) -> float:
    return min(max(INTERVAL, took / SHARE), LONGEST)


async def settled(look: Callable[[], Listing], seen: Listing) -> Listing:
    """Wait until what `look` sees, `seen` the last time, has not changed for REST seconds, at most PATIENCE seconds.

    Returns what it saw last.
    """
    clock = asyncio.get_running_loop().time
    begin = since = clock()
    while clock() - since < REST and clock() - begin < PATIENCE:
        await asyncio.sleep(_STEP)
        now = await asyncio.to_thread(look)
        if now != seen:
            seen, since = now, clock()
    return seen


async def _reports(paths: Sequence[Path]) -> AsyncGenerator[frozenset[str], None]:
    if not paths:
        return
    timeout = int(INTERVAL * 1000)
    changes = awatch(*paths, watch_filter=None, debounce=200, step=20, rust_timeout=timeout, yield_on_timeout=True)
    async for found in changes:
        yield frozenset(path for _, path in found)
