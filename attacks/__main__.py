"""Plays attacks on a real process beside a well-behaved client of another tenant: `make attack`.

Says of each what it did, and which promise it broke. Exit code 1 if one did.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import uvloop

from attacks.attack import SHORT, Attack, Scale
from attacks.judge import faults
from attacks.outcome import Outcome, Record, read, write
from attacks.page import PAGE, RECORDED, render
from attacks.play import play
from attacks.registry import ATTACKS
from bench.alone.idle_clients import allow_files
from bench.peers.ours import commit_of
from bench.results import Machine
from standalone.demo import CHECKOUT


def main() -> int:
    """Play them. Returns 1 where a promise was broken, 2 where there is no such attack."""
    parser = argparse.ArgumentParser("python -m attacks", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="processes that serve (default: 1)")
    parser.add_argument("--short", action="store_true", help="a part of them, smaller and shorter")
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be given again")
    parser.add_argument("--write", action="store_true", help=f"write {RECORDED} and {PAGE}, of the whole form alone")
    given = parser.parse_args()
    chosen = [one for one in ATTACKS if _wanted(one, given)]
    if not chosen:
        print(f"there are: {', '.join(one.name for one in ATTACKS)}", file=sys.stderr)
        return 2
    scale = SHORT if given.short else Scale()
    # Of the attacker's and the proxy's end each.
    allow_files(2 * scale.connections)
    outcomes = uvloop.run(_play(chosen, scale, given.workers))
    if given.write and not given.short:
        _record(outcomes, scale)
    broken = [one for one in outcomes if faults(one)]
    print(f"{len(outcomes) - len(broken)} of {len(outcomes)} attacks cost the other tenant nothing", flush=True)
    return 1 if broken else 0


def _wanted(attack: Attack, given: argparse.Namespace) -> bool:
    if given.only:
        return attack.name in given.only
    return (attack.quick or not given.short) and not (attack.single and given.workers > 1)


async def _play(chosen: Sequence[Attack], scale: Scale, workers: int) -> list[Outcome]:
    outcomes = []
    for attack in chosen:
        begun = asyncio.get_running_loop().time()
        outcomes.append(outcome := await play(attack, scale, workers))
        took = asyncio.get_running_loop().time() - begun
        print(f"{attack.name} ({took:.0f} s): {said(outcome)}", flush=True)
        for fault in faults(outcome):
            print(f"  FAILED: {fault}", flush=True)
    return outcomes


def said(outcome: Outcome) -> str:
    """What it came to, in a line."""
    if outcome.skipped:
        return f"skipped: {outcome.skipped}"
    during, pieces = outcome.during, outcome.pieces
    return (
        f"{outcome.done}; other tenant: {during.failures} of {during.requests} failed, p99 {during.p99:.0f} ms "
        f"(slowest {during.slowest:.0f}); piece {pieces.longest:.0f} ms ({pieces.name}), round {pieces.round:.0f} ms; "
        f"{outcome.peak:.0f} MiB; settled in {outcome.settled} s"
    )


def _record(outcomes: Sequence[Outcome], scale: Scale) -> None:
    machine = Machine(os.cpu_count() or 1, platform.platform(), platform.python_version(), round(os.getloadavg()[0], 1))
    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    path = CHECKOUT / RECORDED
    earlier = read(path).outcomes if path.exists() else []
    record = Record(commit_of(CHECKOUT), when, machine, scale.connections, earlier)
    for outcome in outcomes:
        record.put(outcome)
    write(path, record)
    render(CHECKOUT)


if __name__ == "__main__":
    sys.exit(main())
