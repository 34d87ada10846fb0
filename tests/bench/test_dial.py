"""What the benchmark of connections says of what it has measured."""

from __future__ import annotations

import os

from bench.dial import MEASURES, Contestant, cpu, table


def contestant(value: float) -> Contestant:
    results = {measure.title: [value, value * 9, value * 2] for measure in MEASURES[:1]}
    return Contestant("", "", {}, {}, results)


def test_medians_and_their_ratio() -> None:
    assert table(contestant(10.0), contestant(40.0)).splitlines()[2:] == [
        f"| {MEASURES[0].title} | 20.0 | 80.0 | 0.25 |"
    ]


def test_the_cpu_of_a_process_grows_as_it_works() -> None:
    before = cpu(os.getpid())
    assert sum(range(1_000_000)) > 0
    assert 0.0 < cpu(os.getpid()) - before < 60.0
