"""Debian's squid as the proxy that tools are reached through: it knows who calls, and resolves names by a file."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from tests.peers.ports import bound
from tests.peers.tools import program

USER = "egress-robot"
PASSWORD = "canary-5d1c-proxy"
TOOL = "tool.example"
"""The name that squid alone knows, for this machine."""

CONFIGURATION = """
http_port 127.0.0.1:{port}
hosts_file {folder}/hosts
dns_nameservers 127.0.0.1
visible_hostname squid.example
auth_param basic program {folder}/knows
auth_param basic children 1
auth_param basic realm squid
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
logformat everything %rm %ru %>Hs %>h
access_log stdio:{folder}/access.log everything
cache_log {folder}/cache.log
pid_filename none
shutdown_lifetime 0 seconds
strip_query_terms off
"""

KNOWS = """#!/bin/sh
while read -r line; do
    if [ "$line" = "{user} {password}" ]; then echo OK; else echo ERR; fi
done
"""


@dataclass(frozen=True, slots=True)
class Squid:
    """A running squid; `url` is what --upstream-proxy takes."""

    url: str
    folder: Path

    async def logged(self, lines: int, seconds: float = 10.0) -> str:
        """What it has logged of requests, their heads as they came included, once there are so many."""
        end = time.monotonic() + seconds
        file = self.folder / "access.log"
        while not file.exists() or (log := file.read_text(encoding="utf-8")).count("\n") < lines:
            assert time.monotonic() < end, f"{lines} lines were expected"
            await asyncio.sleep(0.02)
        return log


@asynccontextmanager
async def running_squid() -> AsyncIterator[Squid]:
    """A squid that lets USER with PASSWORD through to every host and port; skips where it is lacking."""
    binary = program("squid")
    # Not below pytest's own folder, which is root's alone: squid becomes another user.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        (held,) = bound("127.0.0.1")
        port: int = held.getsockname()[1]
        (folder / "hosts").write_text(f"127.0.0.1 {TOOL}\n", encoding="ascii")
        (folder / "knows").write_text(KNOWS.format(user=USER, password=PASSWORD), encoding="ascii")
        (folder / "knows").chmod(0o755)
        (folder / "squid.conf").write_text(CONFIGURATION.format(folder=folder, port=port), encoding="ascii")
        held.close()
        command = [binary, "-N", "-f", str(folder / "squid.conf")]
        child = await Child.start("squid", command, env={"PATH": os.defpath})
        try:
            await _listens(port, child)
            yield Squid(f"http://127.0.0.1:{port}", folder)
        finally:
            await child.stop()


async def _listens(port: int, child: Child, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            assert time.monotonic() < end, child.log
            await asyncio.sleep(0.05)
        else:
            return
