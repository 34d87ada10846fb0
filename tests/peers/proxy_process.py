"""A real `connectors serve` process."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from standalone.demo import ADMIN_LINE, CHECKOUT
from tests.peers.warm_python import start_warm


@dataclass(frozen=True, slots=True)
class ProxyProcess:
    """A running `connectors serve`; `url` and `admin` are http://127.0.0.1:PORT, `url` https where it serves TLS."""

    url: str
    admin: str
    child: Child

    @property
    def scheme(self) -> str:
        """That of `url`."""
        return self.url.partition(":")[0]

    @property
    def port(self) -> int:
        """The port that is served on."""
        return int(self.url.rpartition(":")[2])

    def host_form(self, name: str, namespace: str = "default") -> str:
        """The Connector's address in host form."""
        return f"{self.scheme}://c-{name}.{namespace}.localhost:{self.port}"

    def path_form(self, name: str, namespace: str = "default") -> str:
        """The Connector's address in path form, on a host that names none."""
        return f"{self.url}/namespaces/{namespace}/connectors/{name}"

    @property
    def peak_memory(self) -> int:
        """Its greatest resident set so far, in bytes."""
        return self._status("VmHWM")

    @property
    def memory(self) -> int:
        """Its resident set, in bytes."""
        return self._status("VmRSS")

    def _status(self, name: str) -> int:
        """What Linux says of it, which is in KiB."""
        status = Path(f"/proc/{self.child.pid}/status").read_text(encoding="ascii")
        found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert found, status
        return int(found[1]) * 1024


async def start_proxy(
    manifests: Path,
    *options: str,
    env: Mapping[str, str] | None = None,
    python: str = sys.executable,
    entered: Sequence[str] = (),
) -> ProxyProcess:
    """Start it on a folder of manifests, on ports of the kernel's choice; `env` comes on top of PATH alone.

    `entered` stands before the command (tests/peers/namespace.py). Nothing is probed unless an option says
    so: what a tool sees is what the test sent.
    """
    words = [
        "serve",
        str(manifests),
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--probe-interval",
        "0",
        *options,
    ]
    if env or entered or python != sys.executable:
        environment = {"PATH": os.defpath, **(env or {})}
        command = [*entered, python, "-m", "standalone", *words]
        child = await Child.start("connectors serve", command, env=environment, cwd=CHECKOUT)
    else:
        child = await start_warm("connectors serve", "standalone", *words)
    try:
        url = (await child.line(r"^ready: \d+ connectors? on (https?://\S+)"))[1]
        admin = (await child.line(ADMIN_LINE))[1]
    except BaseException:
        await child.stop()
        raise
    return ProxyProcess(url, admin, child)
