"""This proxy beside itself: another tree (`make bench-pairs BASE=path`), or with more workers (`WORKERS=2`).

CPU per small request over 32 connections. Both take turns in every round, and what counts is the median of the rounds'
own ratios: a busy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from bench.compare import lacking
from bench.peers.ours import ours
from bench.report import FIRST
from bench.results import MICRO
from bench.rounds import Plan, run
from standalone.demo import CHECKOUT

ROUNDS = 20
ONE, OTHER = "before", "now"


def main() -> int:
    """Measure. Returns 1 if one of both was not measured, or a program is missing."""
    parser = argparse.ArgumentParser("python -m bench.pairs", description=__doc__, allow_abbrev=False)
    parser.add_argument("--base", type=Path, default=CHECKOUT, help="another tree, which has its own .venv")
    parser.add_argument("--workers", default="1", help="of this tree's proxy (default: 1)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default: {ROUNDS})")
    given = parser.parse_args()
    if programs := lacking("nginx", "wrk"):
        print(programs, file=sys.stderr)
        return 1
    options = ["--workers", given.workers] if given.workers != "1" else []
    peers = [ours(ONE, given.base), ours(OTHER, CHECKOUT, *options)]
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as folder:
        results = asyncio.run(run(Plan([FIRST], peers, given.rounds, 1), Path(folder)))
    before, now = results.cpu(FIRST.key, ONE), results.cpu(FIRST.key, OTHER)
    ratio = results.ratio(FIRST.key, OTHER, ONE)
    if results.failures or before is None or now is None or ratio is None:
        print(results.failures or results.missing, file=sys.stderr)
        return 1
    rates = [results.rate(FIRST.key, name) or 0.0 for name in (ONE, OTHER)]
    print(
        f"CPU per request: {before * MICRO:.1f} us before, {now * MICRO:.1f} us now; now divided by before, the median"
        f" of {given.rounds} rounds: {ratio:.3f}. Requests per second: {rates[0]:,.0f} before, {rates[1]:,.0f} now."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
