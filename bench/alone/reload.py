"""Manifests that change while requests come: what it costs them, and that none of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from bench.alone.serving import Serving, host
from bench.load import Requests, small
from bench.measure import cpu_seconds

# Seconds between changes: as often as files are looked at.
EVERY = 0.5
MICRO = 1e6


async def measure(serving: Serving, change: Callable[[int], None], seconds: int) -> dict[str, float]:
    """Small requests over 32 connections, without and with changes of what they need.

    Raises:
        LoadError: a request failed.
    """
    found = await _loaded(serving, seconds, "at rest")
    changing = asyncio.create_task(_keep_changing(change))
    try:
        found |= await _loaded(serving, seconds, "while it changes")
    finally:
        changing.cancel()
        with suppress(asyncio.CancelledError):
            await changing
    return found


async def _loaded(serving: Serving, seconds: int, when: str) -> dict[str, float]:
    before = cpu_seconds(serving.proxy.pid)
    done = await small(f"http://127.0.0.1:{serving.port}", Requests(32), seconds, {"Host": host(0)})
    used = (cpu_seconds(serving.proxy.pid) - before) / done.requests * MICRO
    return {f"CPU us a request {when}": used, f"p99 ms {when}": done.p99}


async def _keep_changing(change: Callable[[int], None]) -> None:
    number = 0
    while True:
        number += 1
        change(number)
        await asyncio.sleep(EVERY)
