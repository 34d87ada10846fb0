"""No proxy: the client sends the credential itself. What the load and the tool can do; there is no CPU to count."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench.peers.peer import AUTHORIZATION, Peer, Running, Setup, Site, anyone


async def start(_: AsyncExitStack, site: Site) -> Running:
    """The tool's own address."""
    return Running(site.tool, None, {"Authorization": AUTHORIZATION})


def _able(setup: Setup) -> bool:
    return anyone(setup) and not setup.access_log and not setup.listener_tls


DIRECT = Peer("direct", start, lambda: "", "nothing", lambda: "", _able)
