"""All scenarios, all proxies, and what is measured of this one alone: `make bench`.

Writes performance.json, performance.svg and the generated part of performance.md into docs/. A proxy that the machine
lacks is named there, and left out.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

from bench.alone.measures import Size, measure_alone
from bench.compare import lacking
from bench.peers.nginx import NGINX
from bench.peers.ours import commit_of, ours
from bench.peers.peer import Behind
from bench.peers.registry import PEERS
from bench.report import OURS, publish
from bench.results import Machine, Report
from bench.rounds import Field, Plan, progress, run
from bench.scenarios import SCENARIOS
from standalone.demo import CHECKOUT


def main() -> int:
    """Run everything, and write it. Returns 1 where a program is missing, or this proxy or nginx failed."""
    parser = argparse.ArgumentParser("python -m bench.everything", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each scenario is measured (default: 5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of one run of wrk (default: 2)")
    parser.add_argument("--clients", type=int, default=10_000, help="idle ones (default: 10,000)")
    parser.add_argument("--connectors", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--docs", type=Path, default=CHECKOUT / "docs", help="where to write (default: docs/)")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="the tree whose proxy is measured")
    given = parser.parse_args()
    if programs := lacking():
        print(programs, file=sys.stderr)
        return 1
    plan = Plan(SCENARIOS, [*PEERS, ours(checkout=given.checkout)], given.rounds, given.seconds)
    report = asyncio.run(_report(plan, Size(given.clients, given.connectors, 3 * given.seconds, given.checkout)))
    publish(report, given.docs)
    failed = report.results.failures
    for name, reasons in failed.items():
        progress(f"{name} {'; '.join(reasons)}")
    return 1 if {NGINX.name, OURS} & failed.keys() else 0


async def _report(plan: Plan, size: Size) -> Report:
    machine = Machine(os.cpu_count() or 1, platform.platform(), platform.python_version(), round(os.getloadavg()[0], 1))
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as name:
        folder = Path(name)
        results = await run(plan, folder)
        async with AsyncExitStack() as exits:
            (folder / "alone").mkdir()
            field = Field(exits, folder / "alone")
            alone, failed = await measure_alone(size, await field.tool(Behind.KEPT), field.folder, progress)
    for why in failed:
        results.fail(OURS, why)
    return Report(
        commit=commit_of(size.checkout),
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        machine=machine,
        rounds=plan.rounds,
        seconds=plan.seconds,
        peers={peer.name: peer.version() for peer in plan.peers if peer.name not in results.missing},
        results=results,
        alone=alone,
    )


if __name__ == "__main__":
    sys.exit(main())
