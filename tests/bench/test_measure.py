from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench.measure import cpu_seconds, resident

MIB = 1024**2


def process(proc: Path, schedstats: dict[str, str], smaps: str = "") -> Path:
    for thread, text in schedstats.items():
        (proc / "7" / "task" / thread).mkdir(parents=True)
        (proc / "7" / "task" / thread / "schedstat").write_text(text, encoding="ascii")
    (proc / "7").mkdir(exist_ok=True)
    (proc / "7" / "smaps_rollup").write_text(smaps, encoding="ascii")
    return proc


def test_cpu_is_that_of_all_threads(tmp_path: Path) -> None:
    proc = process(tmp_path, {"7": "1500000000 9 4\n", "8": "250000000 9 4\n"})
    assert cpu_seconds(7, proc) == 1.75


def test_a_thread_that_has_just_ended_counts_nothing(tmp_path: Path) -> None:
    proc = process(tmp_path, {"7": "1500000000 9 4\n", "8": "250000000 9 4\n"})
    (proc / "7" / "task" / "8" / "schedstat").unlink()
    assert cpu_seconds(7, proc) == 1.5


def test_what_it_has_started_counts_too(tmp_path: Path) -> None:
    proc = process(tmp_path, {"7": "1500000000 9 4\n", "8": "250000000 9 4\n"})
    (proc / "9" / "task" / "9").mkdir(parents=True)
    (proc / "9" / "task" / "9" / "schedstat").write_text("500000000 1 1\n", encoding="ascii")
    # 10 has ended in between.
    (proc / "7" / "task" / "8" / "children").write_text("9 10 ", encoding="ascii")
    assert cpu_seconds(7, proc) == 2.25


def test_memory_is_what_is_private(tmp_path: Path) -> None:
    rollup = "Rss:    9000 kB\nPss: 5000 kB\nShared_Clean: 4000 kB\nPrivate_Clean:  24 kB\nPrivate_Dirty:     1000 kB\n"
    assert resident(7, process(tmp_path, {}, rollup)) == 1024 * 1024


def test_of_this_very_process() -> None:
    before, began, memory = cpu_seconds(os.getpid()), time.process_time(), resident(os.getpid())
    kept = bytearray(b"x" * (32 * MIB))
    while (used := time.process_time() - began) < 0.2:
        pass
    # The counter of a thread that runs is brought up to date by the clock's tick, up to 10 ms late.
    assert cpu_seconds(os.getpid()) - before == pytest.approx(used, abs=0.05)
    assert resident(os.getpid()) - memory > 30 * MIB
    assert len(kept) == 32 * MIB
