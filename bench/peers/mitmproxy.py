"""mitmproxy (PyPI): another proxy in Python, made to look at traffic."""

from __future__ import annotations

from contextlib import AsyncExitStack

from bench.peers.logged import Logged
from bench.peers.peer import AUTHORIZATION, Peer, Running, Setup, Site, anyone, found, free_port, said
from bench.peers.wheels import in_wheels

PROGRAM = in_wheels("mitmdump", "bin/mitmdump")


async def start(exits: AsyncExitStack, site: Site) -> Running:
    """mitmdump in reverse mode, which keeps nothing; bodies of more than 64 KiB are passed on as they come."""
    port = free_port()
    options = {
        "modify_headers": f"|~q|Authorization|{AUTHORIZATION}",
        "stream_large_bodies": "64k",
        "connection_strategy": "lazy",
        "http2": "false",
        "flow_detail": "0",
        "ssl_verify_upstream_trusted_ca": str(site.authority),
        "confdir": str(site.folder),
    }
    command = [
        found(PROGRAM),
        "--mode",
        f"reverse:{site.tool}",
        "--listen-host",
        "127.0.0.1",
        "--listen-port",
        str(port),
    ]
    if site.listener is not None:
        pem = site.folder / "listener.pem"
        pem.write_bytes(site.listener.private_key_and_cert_chain_pem.bytes())
        command += ["--certs", str(pem)]
    command += [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    proxy = await Logged.start(exits, command, site.folder)
    await proxy.listening(port)
    return Running(site.url(port), proxy.pid)


def _able(setup: Setup) -> bool:
    return anyone(setup) and not setup.access_log


MITMPROXY = Peer(
    "mitmproxy", start, PROGRAM, "PyPI: mitmproxy",
    lambda: said([found(PROGRAM), "--version"], r"Mitmproxy: (\S+)"), _able,
)  # fmt: skip
