"""One tenant's weather: a silent tool, names without an answer (threat 33)."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from shutil import which

from attacks.attack import LOUD, Attack, CannotPlayError, Played, Scene
from attacks.crowd import crowd, hammer, stay, told
from tests.peers.manifests import Manifest, connector

SILENT = 3000
NAMES = 256
NAME_SERVER = "127.0.0.9"
# In a mount namespace of its own the process finds another resolv.conf, and stays on the machine's network.
MOUNTED = 'mount --bind "$1" /etc/resolv.conf; mount --bind "$2" /etc/nsswitch.conf; shift 2; exec "$@"'


async def silent_tool(scene: Scene) -> Played:
    """Requests that a tool does not answer, more than one Connector may have."""
    count = min(SILENT, scene.scale.connections * 3 // 4)
    async with crowd(scene, count, scene.request("/silent"), reading=True) as made:
        await stay(scene.end)
    return Played(f"{count:,} requests: {told(made.statuses)}, the rest waited")


async def unanswered_names(scene: Scene) -> Played:
    """Each name is asked for, and its name server says nothing."""
    asked = [hammer(scene, scene.request("/", "Connection: close", name=f"name-{at}"), 1) for at in range(NAMES)]
    await asyncio.gather(*asked)
    return Played(f"{NAMES} names at once")


def unanswered(tool: str) -> list[Manifest]:
    """Connectors whose names have no answer."""
    return [connector(f"name-{at}", f"http://name-{at}.silent.example", namespace=LOUD) for at in range(NAMES)]


async def silent_name_server(exits: AsyncExitStack, folder: Path) -> Sequence[str]:
    """A name server that answers nothing, and the command in which a process asks it.

    Raises:
        CannotPlayError: only root may.
    """
    if os.geteuid() != 0 or which("unshare") is None:
        raise CannotPlayError("needs root and unshare, to give the proxy a name server of its own")
    server = exits.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        server.bind((NAME_SERVER, 53))
    except OSError as error:
        raise CannotPlayError(f"{NAME_SERVER}:53: {error.strerror}") from None
    resolv, switch = folder / "resolv.conf", folder / "nsswitch.conf"
    resolv.write_text(f"nameserver {NAME_SERVER}\noptions timeout:2 attempts:1\nsearch .\n", encoding="ascii")
    switch.write_text("hosts: files dns\n", encoding="ascii")
    return ["unshare", "--mount", "--", "sh", "-ec", MOUNTED, "sh", str(resolv), str(switch)]


ATTACKS = (
    Attack(
        "silent tool",
        33,
        "3,000 requests go to one tool that does not answer.",
        "300 of them took every other Connector's",
        silent_tool,
        quick=True,
    ),
    Attack(
        "unanswered names",
        33,
        "256 Connectors of one tenant have names whose name server is silent, and the other tenant's name is looked "
        "up for each of its connections.",
        "all other lookups failed at once",
        unanswered_names,
        options=("--dns-cache", "0", "--upstream-idle-timeout", "1ms"),
        manifests=unanswered,
        around=silent_name_server,
        calm_by_name=True,
        single=True,
    ),
)
