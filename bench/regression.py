"""Whether this proxy has become slower: `make bench-check`, which CI runs.

CPU per small request over 32 connections, nginx's divided by ours, the median of ten interleaved rounds. It fails where
that is below 70 % of the recorded ratio twice in a row: the same code was seen between 0.73 and 0.93 on one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.compare import lacking
from bench.peers.nginx import NGINX
from bench.peers.ours import commit_of, ours
from bench.report import FIRST, OURS
from bench.rounds import Plan, run
from standalone.demo import CHECKOUT

RECORDED = CHECKOUT / "bench" / "recorded.json"
SHARE = 0.7
TRIES = 2
ROUNDS, SECONDS = 10, 1


class Recorded(msgspec.Struct, frozen=True):
    """What the proxy has reached, and at which commit."""

    scenario: str
    ratio: float
    commit: str


class FailedError(Exception):
    """There is no ratio; the message says why."""


def measured() -> float:
    """nginx's CPU divided by ours, now.

    Raises:
        FailedError: one of both was not measured.
    """
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as folder:
        results = asyncio.run(run(Plan([FIRST], [NGINX, ours()], ROUNDS, SECONDS), Path(folder)))
    ratio = results.ratio(FIRST.key, NGINX.name, OURS)
    if results.failures or ratio is None:
        raise FailedError(f"{results.failures or results.missing}")
    return ratio


def check(recorded: Recorded, measure: Callable[[], float], tell: Callable[[str], None]) -> bool:
    """Whether it is as fast as it was, asked TRIES times at most."""
    least = SHARE * recorded.ratio
    for number in range(1, TRIES + 1):
        ratio = measure()
        good = ratio >= least
        tell(
            f"try {number} of {TRIES}: nginx's CPU divided by ours is {ratio:.3f}; recorded {recorded.ratio:.3f} "
            f"({recorded.commit}), at least {least:.3f}: {'good' if good else 'too low'}"
        )
        if good:
            return True
    return False


def main() -> int:
    """Check, or record. Returns 1 where it has become slower; where programs are missing it says so and returns 0."""
    parser = argparse.ArgumentParser("python -m bench.regression", description=__doc__)
    parser.add_argument("--record", action="store_true", help=f"measure, and write {RECORDED.name} instead of checking")
    recording = parser.parse_args().record
    if programs := lacking("nginx", "wrk"):
        print(f"skipped, nothing is checked: {programs}")
        return 0
    if recording:
        made = Recorded(FIRST.key, round(measured(), 3), commit_of(CHECKOUT))
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(made)) + b"\n")
        return 0
    return 0 if check(msgspec.json.decode(RECORDED.read_bytes(), type=Recorded), measured, print) else 1


if __name__ == "__main__":
    sys.exit(main())
