"""Proxies side by side in one run: `make bench-quick`.

CPU is that of the proxy's own process, all threads, for each request or GiB: on a machine where the load, the tool and
the proxy share two cores, and others may be at work, it says more than requests per second. Proxies take turns in every
round, and medians count; compare ratios between machines, never the numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.peers.nginx import NGINX
from bench.peers.ours import ours
from bench.peers.peer import Peer
from bench.results import MICRO, Results
from bench.rounds import Plan, run
from bench.scenarios import Scenario, chosen
from standalone.demo import CHECKOUT

BASE = "base"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it. Returns 1 where a program is missing or this proxy or nginx failed."""
    given = _parser().parse_args(arguments)
    if programs := lacking():
        print(programs, file=sys.stderr)
        return 1
    peers: list[Peer] = [NGINX, *([ours(BASE, given.base)] if given.base else []), ours(checkout=given.checkout)]
    plan = Plan(chosen(given.only, quick=not given.all), peers, given.rounds, given.seconds)
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as folder:
        results = asyncio.run(run(plan, Path(folder)))
    print(quick_table(plan.scenarios, peers, results))
    return 1 if results.failures or results.missing else 0


def lacking(*names: str) -> str:
    """What to say where the machine has not all of these programs (none: those that every scenario together wants)."""
    missing = [name for name in names or ("nginx", "wrk", "curl") if shutil.which(name) is None]
    return f"missing: {', '.join(missing)}; apt-get install {' '.join(missing)}" if missing else ""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench.compare", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=int, default=1, help="length of one run of wrk (default: 1)")
    parser.add_argument("--all", action="store_true", help="every scenario, not the quick ones alone")
    parser.add_argument("--only", nargs="+", metavar="KEY", help="scenarios by their keys (bench/scenarios.py)")
    parser.add_argument("--checkout", type=Path, default=CHECKOUT, help="the tree whose proxy is measured")
    parser.add_argument("--base", type=Path, help="another tree, to compare with: both are run, side by side")
    return parser


def quick_table(scenarios: Sequence[Scenario], peers: Sequence[Peer], results: Results) -> str:
    """CPU of each, in us per request or ms per GiB, and nginx's divided by that of the others."""
    others = [peer.name for peer in peers if peer.name != NGINX.name]
    heading = ["scenario", "nginx", *(cell for name in others for cell in (name, "ratio")), "target"]
    rows = [heading]
    for scenario in scenarios:
        unit = MICRO if scenario.per == "request" else 1e3
        row = [scenario.key, _number(results.cpu(scenario.key, NGINX.name), unit)]
        for name in others:
            row.append(_number(results.cpu(scenario.key, name), unit))
            row.append(_number(results.ratio(scenario.key, NGINX.name, name), 1.0, 2))
        rows.append([*row, _number(scenario.target, 1.0, 2)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(heading))]
    lines = ["  ".join(_cell(text, width, index) for index, (text, width) in enumerate(zip(row, widths, strict=True)))
             for row in rows]  # fmt: skip
    note = "CPU of the proxy: us per request, ms per GiB; ratio: nginx's divided by it, median of the rounds"
    failed = [f"{name} is missing: {package}" for name, package in results.missing.items()]
    failed += [f"{name} {why}" for name, reasons in results.failures.items() for why in reasons]
    return "\n".join([*lines, note, *failed])


def _cell(text: str, width: int, index: int) -> str:
    return text.rjust(width) if index else text.ljust(width)


def _number(value: float | None, factor: float, digits: int = 1) -> str:
    return "-" if value is None else f"{value * factor:.{digits}f}"


if __name__ == "__main__":
    sys.exit(main())
