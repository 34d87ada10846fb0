"""A relay in Python that reads nothing (bench/unread.py): the floor below which no proxy on uvloop comes.

The client sends the credential itself.
"""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, Behind, Peer, Running, Setup, Site, anyone
from standalone.demo import CHECKOUT


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One process of it."""
    command = [sys.executable, "-m", "bench.unread", str(site.tool_port)]
    relay = await Logged.start(exits, command, site.folder, cwd=CHECKOUT)
    port = int((await relay.line(r"^listening on (\d+)"))[1])
    return Running(site.url(port), relay.pid, {"Authorization": AUTHORIZATION})


def _able(setup: Setup) -> bool:
    plain = setup.behind in (Behind.KEPT, Behind.CLOSING, Behind.BODIES) and not setup.listener_tls
    return anyone(setup) and plain and not setup.access_log


UNREAD = Peer("unread", start, lambda: sys.executable, "this tree", lambda: "", _able)
