"""What a process has used, as the kernel (Linux) counts it."""

from __future__ import annotations

import re
from pathlib import Path

PROC = Path("/proc")


def cpu_seconds(pid: int, proc: Path = PROC) -> float:
    """CPU time of all its threads and of the processes that it has started, in seconds, as far as they live.

    From schedstat (Documentation/scheduler/sched-stats.rst: first number, nanoseconds on a CPU), which counts exactly
    where /proc/PID/stat counts ticks of 10 ms. A thread that ends takes its time along.
    """
    tasks = list((proc / str(pid) / "task").iterdir())
    children = [int(child) for task in tasks for child in _children(task) if (proc / child).exists()]
    return sum(_on_cpu(task / "schedstat") for task in tasks) / 1e9 + sum(
        cpu_seconds(child, proc) for child in children
    )


def resident(pid: int, proc: Path = PROC) -> int:
    """Bytes of memory that are its own now: Private_Clean and Private_Dirty of smaps_rollup (proc(5))."""
    text = (proc / str(pid) / "smaps_rollup").read_text(encoding="ascii")
    return sum(int(kilobytes) for kilobytes in re.findall(r"^Private_\w+:\s+(\d+) kB$", text, re.MULTILINE)) * 1024


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text(encoding="ascii").split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _on_cpu(schedstat: Path) -> int:
    try:
        return int(schedstat.read_text(encoding="ascii").split()[0])
    except (FileNotFoundError, ProcessLookupError):  # the thread has just ended
        return 0
