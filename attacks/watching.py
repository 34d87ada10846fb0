"""A proxy as its machine sees it: memory, open files, the pieces that its loop runs. Linux."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import aiohttp

from attacks.outcome import Pieces, State
from attacks.watched.sitecustomize import LAYOUT

MIB = 1024**2
PROC = Path("/proc")


class Watching:
    """The process `pid` and its children. `folder`: where they write what attacks/watched measures."""

    def __init__(self, pid: int, admin: str, folder: Path) -> None:
        self._pid = pid
        self._admin = admin
        self._folder = folder

    def begin(self) -> None:
        """Measure peaks and pieces from now on."""
        for pid in self._pids():
            # 5: the peak of resident memory becomes what is resident now (proc(5)).
            (PROC / pid / "clear_refs").write_text("5", encoding="ascii")
        for path in self._folder.iterdir():
            with path.open("r+b") as file:
                file.write(bytes(LAYOUT.size))

    def peak(self) -> float:
        """Most resident memory since `begin`, in MiB; pages that processes share count for each of them."""
        return sum(self._kilobytes(pid, "VmHWM") for pid in self._pids()) / 1024

    def pieces(self) -> Pieces:
        """The longest of any of its processes since `begin`."""
        found = [LAYOUT.unpack(path.read_bytes()) for path in self._folder.iterdir()]
        longest, _, name = max(found)
        most = max(rounds for _, rounds, _ in found)
        return Pieces(round(1000 * longest, 1), name.rstrip(b"\0").decode("ascii"), round(1000 * most, 1))

    async def state(self) -> State:
        """Now."""
        async with aiohttp.ClientSession() as session, session.get(self._admin + "/metrics") as answer:
            text = await answer.text()
        pids = self._pids()
        return State(
            resident=round(sum(self._kilobytes(pid, "VmRSS") for pid in pids) / 1024, 1),
            files=sum(len(list((PROC / pid / "fd").iterdir())) for pid in pids),
            connections=int(number(text, "connectors_proxy_client_connections")),
            in_flight=int(number(text, "connectors_proxy_requests_in_flight")),
        )

    def _pids(self) -> list[str]:
        children = [str(self._pid)]
        for task in (PROC / str(self._pid) / "task").iterdir():
            with suppress(OSError):
                children += (task / "children").read_text(encoding="ascii").split()
        return children

    def _kilobytes(self, pid: str, field: str) -> int:
        try:
            status = (PROC / pid / "status").read_text(encoding="ascii")
        except OSError:  # it has just ended
            return 0
        found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) if found else 0


def number(metrics: str, name: str) -> float:
    """The sum of a metric without labels, or of all its labels; 0 where there is none."""
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", metrics, re.MULTILINE))


def cpu_idle(seconds_before: tuple[int, int], now: tuple[int, int]) -> float:
    """The share of CPU time, of all processors, that nothing used between two readings of `cpu_times`."""
    whole = now[0] - seconds_before[0]
    return (now[1] - seconds_before[1]) / whole if whole else 1.0


def cpu_times(stat: Path = PROC / "stat") -> tuple[int, int]:
    """Ticks in all, and idle ones, since the machine began (proc(5): the fourth number is idle, the fifth iowait)."""
    ticks = [int(word) for word in stat.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]
