"""HAProxy (Debian)."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, Peer, Running, Site, anyone, found, free_port, on_path, said

PROGRAM = on_path("haproxy")
CONFIGURATION = """
global
    nbthread 1
    maxconn 4096
    {log_to}
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend clients
    bind 127.0.0.1:{port}{bind}
    {log}
    http-request set-header Authorization "{authorization}"
    http-request set-header Host tool
    default_backend tool
backend tool
    server tool 127.0.0.1:{tool}{server}
"""


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """One thread, no master process. Where a log is wanted it goes to standard output, which is a file."""
    bind = server = ""
    if site.listener is not None:
        pem = site.folder / "listener.pem"
        pem.write_bytes(site.listener.private_key_and_cert_chain_pem.bytes())
        bind = f" ssl crt {pem}"
    if site.tool_tls:
        server = f" ssl verify required verifyhost localhost sni str(localhost) ca-file {site.authority}"
    port = free_port()
    text = CONFIGURATION.format(
        log_to="log stdout format raw local0" if site.setup.access_log else "",
        log="log global\n    option httplog" if site.setup.access_log else "",
        port=port,
        bind=bind,
        authorization=AUTHORIZATION.replace(" ", "\\ "),
        tool=site.tool_port,
        server=server,
    )
    configuration = site.folder / "haproxy.cfg"
    configuration.write_text(text, encoding="utf-8")
    proxy = await Logged.start(exits, [found(PROGRAM), "-db", "-f", str(configuration)], site.folder)
    await proxy.listening(port)
    return Running(site.url(port), proxy.pid)


HAPROXY = Peer(
    "HAProxy", start, PROGRAM, "Debian: haproxy", lambda: said([found(PROGRAM), "-v"], r"version (\d[\d.]+\d)"), anyone
)
