"""Debian's nginx as a tool: unprivileged, on a port of the kernel's choice, in plain text or with TLS."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import trustme

from standalone.child import Child
from tests.peers.tools import program

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    {http}
    server {{
        listen {address}{tls};
        server_name localhost;
        {server}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx; `address` is what a Connector's spec.address takes."""

    address: str
    port: int
    folder: Path
    child: Child

    @property
    def access_log(self) -> str:
        """What it has logged; requests appear once they are answered, and a moment later."""
        return (self.folder / "access.log").read_text(encoding="utf-8")

    async def logged(self, lines: int, file: str = "access.log", seconds: float = 10.0) -> str:
        """What it has logged to a file, once that has so many lines."""
        end = time.monotonic() + seconds
        while (log := (self.folder / file).read_text(encoding="utf-8")).count("\n") < lines:
            assert time.monotonic() < end, f"{lines} lines were expected: {log}"
            await asyncio.sleep(0.02)
        return log


async def start_nginx(folder: Path, server: str, *, http: str = "", tls: trustme.LeafCert | None = None) -> Nginx:
    """Start nginx with these directives in its one `server` (and in `http`); skips where nginx is lacking.

    With `tls` it speaks TLS with that certificate, which should name `localhost`.
    """
    binary = program("nginx")
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0), backlog=511) as listener:
        port: int = listener.getsockname()[1]
        text = CONFIGURATION.format(
            folder=folder,
            user="user root;" if os.getuid() == 0 else "",  # its worker must read a temporary folder of mode 0700
            address=f"127.0.0.1:{port}",
            tls=_tls(folder, tls) if tls else "",
            http=http,
            server=server,
        )
        configuration = folder / "nginx.conf"
        configuration.write_text(text, encoding="utf-8")
        # nginx leaves a socket that it takes over as it is. Two of its workers share this one during a reload: both
        # wake for one connection, and the second would stand still in accept() until there is another.
        listener.setblocking(False)
        # nginx takes a listening socket over by the variable NGINX, which it means for its own upgrades: so the
        # kernel's port is never let go between choosing and listening.
        command = [binary, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
        env = {"NGINX": f"{listener.fileno()};", "PATH": os.defpath}
        child = await Child.start("nginx", command, env=env, pass_fds=(listener.fileno(),))
    await child.line(r"start worker process ")
    return Nginx(f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}", port, folder, child)


def _tls(folder: Path, leaf: trustme.LeafCert) -> str:
    key, chain = folder / "key.pem", folder / "chain.pem"
    leaf.private_key_pem.write_to_path(str(key))
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    return f" ssl;\n        ssl_certificate {chain};\n        ssl_certificate_key {key}"
