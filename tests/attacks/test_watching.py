"""Numbers of a process, as Linux and /metrics write them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attacks.watched.sitecustomize import LAYOUT
from attacks.watching import Watching, cpu_idle, cpu_times, number

METRICS = """# TYPE connectors_proxy_client_connections gauge
connectors_proxy_client_connections 3.0
connectors_proxy_client_connections_closed_total{reason="made_room"} 7.0
connectors_proxy_upstream_connections{state="active"} 1.0
connectors_proxy_upstream_connections{state="idle"} 4.0
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("connectors_proxy_client_connections", 3),
        ("connectors_proxy_upstream_connections", 5),
        ("connectors_proxy_none", 0),
    ],
)
def test_a_metric(name: str, expected: float) -> None:
    assert number(METRICS, name) == expected


def test_how_idle_the_machine_was(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    stat.write_text("cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1 1 1 1\n", encoding="ascii")
    before = cpu_times(stat)
    assert before == (100, 80)
    stat.write_text("cpu  20 0 10 120 10 0 0 0 5 5\ncpu0 1 1 1 1\n", encoding="ascii")
    assert cpu_idle(before, cpu_times(stat)) == pytest.approx(50 / 60)
    assert cpu_idle(before, before) == 1.0


def test_the_longest_piece_is_that_of_all_processes_and_each_look_begins_with_none(tmp_path: Path) -> None:
    for pid, (longest, rounds, name) in {"1": (0.01, 0.3, b"a"), "2": (0.02, 0.1, b"b")}.items():
        (tmp_path / pid).write_bytes(LAYOUT.pack(longest, rounds, name))
    watching = Watching(os.getpid(), "http://127.0.0.1:1", tmp_path)
    pieces = watching.pieces()
    assert (pieces.longest, pieces.name, pieces.round) == (20.0, "b", 300.0)
    watching.begin()
    assert (watching.pieces().longest, watching.pieces().name) == (0.0, "")
    assert watching.peak() > 10
