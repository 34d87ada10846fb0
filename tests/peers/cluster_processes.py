"""`python -m proxy` and `python -m controller` as processes of their own, on ports of the kernel's choice."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from standalone.demo import ADMIN_LINE
from tests.peers.warm_python import start_warm

START_SECONDS = 30.0
LOCAL_TOOLS = ("--allow-upstream", "127.0.0.0/8,::1")


@dataclass(frozen=True, slots=True)
class ClusterProcess:
    """One of both; `url` is that of the traffic port, empty for the controller."""

    child: Child
    admin: str
    url: str = ""

    @property
    def peak_memory(self) -> int:
        """Its greatest resident set so far, in bytes (VmHWM of Linux)."""
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii")
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    @property
    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system (proc(5), fields 14 and 15 of stat)."""
        stat = Path(f"/proc/{self.child.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


async def start_cluster_proxy(kubeconfig: Path, *options: str, ready: float = START_SECONDS) -> ClusterProcess:
    """Start the proxy, and wait until it serves; `ready` is in seconds. It may dial this machine's own tools."""
    listen = ("--listen", "127.0.0.1:0", *LOCAL_TOOLS)
    child, admin = await _start("proxy", kubeconfig, *listen, *options)
    try:
        url = (await child.line(r"ready: \d+ connectors on (https?://\S+)", ready))[1]
    except BaseException:
        await child.stop()
        raise
    return ClusterProcess(child, admin, url)


async def start_controller(kubeconfig: Path, *options: str) -> ClusterProcess:
    """Start the controller; it may be another replica that leads. Its probes may dial this machine's own tools."""
    ours = ("--webhook-listen", "127.0.0.1:0", *LOCAL_TOOLS)
    return ClusterProcess(*await _start("controller", kubeconfig, *ours, *options))


async def _start(module: str, kubeconfig: Path, *options: str) -> tuple[Child, str]:
    words = ("--kubeconfig", str(kubeconfig), "--admin", "127.0.0.1:0", *options)
    child = await start_warm(f"python -m {module}", module, *words)
    try:
        admin = (await child.line(ADMIN_LINE, START_SECONDS))[1]
    except BaseException:
        await child.stop()
        raise
    return child, admin
