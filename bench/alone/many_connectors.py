"""Many Connectors, each with a Secret of its own: what they cost until the proxy is ready, and when one changes."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.alone.serving import RIGHT, SETTLED, Serving, Source, serving
from bench.measure import resident
from standalone.child import Child
from standalone.demo import CHECKOUT

# How many are there when the process's own memory is measured.
FEW = 10
CHANGES = 5
# Times SETTLED seconds that a change gets on a busy machine.
PATIENCE = 8
# A fifth less, from one moment to the next, is a process that comes to rest.
NO_LESS = 0.8
# The answers before and after a change.
FOUND = (401, 200)


async def measure(few: Source, many: Source, count: int, folder: Path, checkout: Path) -> dict[str, float]:
    """All numbers; `few` has FEW Connectors, `many` has `count`.

    Raises:
        RuntimeError: a change was not in effect in time.
    """
    async with serving(few, folder / "log-few", checkout=checkout) as small:
        own = resident(small.proxy.pid)
    async with serving(many, folder / "log-many", checkout=checkout) as large:
        found = {"Connectors": float(count), "ready, CPU s": large.ready}
        found["bytes each"] = (resident(large.proxy.pid) - own) / (count - FEW)
        await _quiet(large)
        # In turn, so that what comes to rest slowly is in both alike.
        changed = [(await _change(large, number), await large.used()) for number in _numbers(count, 0)]
        rest = statistics.median(used for _, used in changed)
        found["CPU ms of a second at rest"] = 1000 * rest / SETTLED
        costs = [sum(used) - len(used) * rest for used, _ in changed]
        found["a changed Secret, CPU ms"] = 1000 * statistics.median(costs)
        found["slowest answer at rest, ms"] = await slowest(large.port, [large.used for _ in range(2)])
        changes = [lambda number=number: _change(large, number) for number in _numbers(count, 1)]
        found["slowest answer while Secrets change, ms"] = await slowest(large.port, changes)
    return found


async def slowest(port: int, work: Sequence[Callable[[], Awaitable[object]]]) -> float:
    """Do these one after another; returns the slowest answer meanwhile, in milliseconds."""
    pulse = await Child.start("the pulse", [sys.executable, "-m", "bench.pulse", str(port)], cwd=CHECKOUT)
    try:
        await pulse.line("^beating$")
        for one in work:
            await one()
    finally:
        await pulse.stop()
    return float((await pulse.line(r"^slowest of \d+ answers: ([\d.]+)"))[1])


async def _quiet(large: Serving) -> None:
    """Return once it uses no less CPU than a moment ago: what starting has left behind is done."""
    before, now = math.inf, await large.used()
    while now < NO_LESS * before:
        before, now = now, await large.used()


def _numbers(count: int, offset: int) -> list[int]:
    """Connectors that change, far from each other."""
    return [turn * (count // CHANGES) + offset for turn in range(CHANGES)]


async def _change(large: Serving, number: int) -> list[float]:
    """CPU seconds of each SETTLED seconds until the change is in effect: of the first ones alone where none is busy."""
    before = await large.status(number)
    large.source.change(number, RIGHT)
    used = [await large.used()]
    while (after := await large.status(number)) == before and len(used) < PATIENCE:
        used.append(await large.used())
    if (before, after) != FOUND:
        seconds = SETTLED * len(used)
        raise RuntimeError(f"Connector {number} answered {before}, and {after} {seconds:g} s after its Secret changed")
    return used
