"""Where the CPU of a small request goes: `make bench-shares`. Needs nginx, wrk and perf (Debian: linux-perf).

The kernel, the interpreter, the C library...: this proxy and a relay on the same event loop that reads nothing, under
the same load, sampled by perf. CPU per request is counted as in every other benchmark, and divided by the samples.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from bench.peers.ours import ours
from bench.peers.peer import Peer
from bench.peers.unread import UNREAD
from bench.results import Results
from bench.rounds import Field, measure
from bench.scenarios import chosen
from standalone.child import Child

SECONDS = 5
# Samples per second: no multiple of anything that ticks.
RATE = 1999
# Percent below which a part is one of the others.
LEAST = 0.5
NAMES = {"[kernel.kallsyms]": "kernel", "loop": "uvloop", "_core": "msgspec"}


def parse_report(text: str) -> dict[str, float]:
    """Percent by part of what `perf report --sort dso` printed; small ones together as `others`."""
    shares: dict[str, float] = {}
    for percent, name in re.findall(r"^\s*([\d.]+)%\s+(\S+)\s*$", text, re.MULTILINE):
        short = re.split(r"\.(?:so|cpython|abi3)", name)[0]
        known = NAMES.get(short, short) if float(percent) >= LEAST else "others"
        shares[known] = shares.get(known, 0.0) + float(percent)
    return shares


async def sampled(peer: Peer, key: str, folder: Path) -> dict[str, float]:
    """Microseconds of CPU per request by part, `all` first.

    Raises:
        RuntimeError: it cannot be started, or perf cannot sample it; the message says why.
    """
    [scenario] = chosen([key])
    async with AsyncExitStack() as exits:
        field, results = Field(exits, folder), Results()
        running = await field.start(exits, scenario.setup, [peer], results)
        if peer.name not in running:
            raise RuntimeError(str(results.failures))
        proxy, data = running[peer.name], str(folder / "perf.data")
        await measure(scenario, proxy, 1, field)  # what is done once is done
        record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(RATE), "-p", str(proxy.pid), "-o", data]
        perf = await Child.start("perf", [*record, "--", "sleep", str(SECONDS - 1)])
        exits.push_async_callback(perf.stop)
        sample = await measure(scenario, proxy, SECONDS, field)
        if await perf.wait() != 0 or sample.cpu is None:
            raise RuntimeError(f"perf: {perf.log}")
        report = await Child.start("perf", ["perf", "report", "-i", data, "--stdio", "--sort", "dso", "-g", "none"])
        await report.wait()
        whole = sample.cpu * 1e6
        return {"all": whole, **{name: whole * share / 100 for name, share in parse_report(report.log).items()}}


def table(columns: dict[str, dict[str, float]]) -> str:
    """As Markdown, the largest part of the first column first."""
    first = next(iter(columns.values()))
    parts = sorted(
        dict.fromkeys(name for column in columns.values() for name in column), key=lambda name: -first.get(name, 0)
    )
    lines = ["| us per request | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for part in parts:
        lines.append(f"| {part} | " + " | ".join(f"{column.get(part, 0.0):.1f}" for column in columns.values()) + " |")
    return "\n".join(lines)


async def main(key: str) -> None:
    """Print the table."""
    columns = {}
    for peer in (ours(), UNREAD):
        with tempfile.TemporaryDirectory(prefix="connectors-shares-") as folder:
            columns[peer.name] = await sampled(peer, key, Path(folder))
    print(table(columns))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="small-32", metavar="KEY", help="a scenario of bench/scenarios.py")
    wanted = parser.parse_args().only
    if shutil.which("perf") is None:
        sys.exit("perf is not installed; on Debian: apt-get install linux-perf")
    asyncio.run(main(wanted))
