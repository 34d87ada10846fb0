"""Caddy (Debian)."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench.behind import certificate_files
from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, KEPT, Peer, Running, Site, anyone, found, free_port, on_path, said

PROGRAM = on_path("caddy")
CONFIGURATION = """
{{
    admin off
    auto_https off
    default_sni localhost
    log {{
        level ERROR
    }}
    servers {{
        protocols h1
    }}
}}
:{port} {{
    bind 127.0.0.1
    {tls}
    {log}
    reverse_proxy {tool} {{
        header_up Authorization "{authorization}"
        header_up Host tool
        transport http {{
            keepalive_idle_conns_per_host {kept}
            {upstream_tls}
        }}
    }}
}}
"""


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One thread that runs Go code at a time."""
    tls = ""
    if site.listener is not None:
        chain, key = certificate_files(site.listener, site.folder)
        tls = f"tls {chain} {key}"
    port = free_port()
    text = CONFIGURATION.format(
        port=port,
        tls=tls,
        log=f"log {{\n output file {site.folder}/access.log\n level INFO\n}}" if site.setup.access_log else "",
        tool=f"127.0.0.1:{site.tool_port}",
        authorization=AUTHORIZATION,
        kept=KEPT,
        upstream_tls=f"tls_server_name localhost\ntls_trusted_ca_certs {site.authority}" if site.tool_tls else "",
    )
    configuration = site.folder / "Caddyfile"
    configuration.write_text(text, encoding="utf-8")
    command = [found(PROGRAM), "run", "--config", str(configuration), "--adapter", "caddyfile"]
    proxy = await Logged.start(exits, command, site.folder, env={"GOMAXPROCS": "1"})
    await proxy.listening(port)
    return Running(site.url(port), proxy.pid)


CADDY = Peer("Caddy", start, PROGRAM, "Debian: caddy", lambda: said([found(PROGRAM), "version"], r"v?(\d\S*)"), anyone)
