"""The tool that stands behind every proxy: cheap, never what is waited for, and 401 without the credential."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from bench.peers.peer import AUTHORIZATION, Behind
from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.nginx import start_nginx

NGINX = """
    access_log off;
    keepalive_requests 1000000000;
    {keepalive}
    ssl_protocols TLSv1.2 TLSv1.3;
    open_file_cache max=16;
    if ($http_authorization != "{authorization}") {{ return 401; }}
    location /small/ {{ return 200 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; }}
    location = /large {{ root {large}; }}
    location /16k/ {{ root {folder}; rewrite ^ /16k.bin break; }}
    location /special/ {{
        ssi on;  # takes the length away, so the answer is chunked
        ssi_types *;
        add_header Location "$scheme://$http_host/made/$request_id";
        add_header Set-Cookie "session=$request_id; Path=/; HttpOnly";
        return 201 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    }}
"""
CLOSING = {Behind.CLOSING, Behind.TLS_CLOSING}
TLS = {Behind.TLS, Behind.TLS_CLOSING, Behind.TLS_BODIES}
BODIES = {Behind.BODIES, Behind.TLS_BODIES}


@dataclass(slots=True)
class Tools:
    """Starts each tool when it is asked for first; all end with `exits`. `folder` holds the file `large`."""

    exits: AsyncExitStack
    folder: Path
    leaf: trustme.LeafCert
    started: dict[Behind, str] = field(default_factory=dict)

    async def address(self, behind: Behind) -> str:
        """Where it listens, as a Connector's spec.address."""
        if behind not in self.started:
            start: Callable[[Behind], Awaitable[str]] = self._bodies if behind in BODIES else self._nginx
            self.started[behind] = await start(behind)
        return self.started[behind]

    async def _nginx(self, behind: Behind) -> str:
        folder = self.folder / behind.replace(" ", "-")
        folder.mkdir()
        (folder / "16k.bin").write_bytes(bytes(16 * 1024))
        keepalive = "keepalive_timeout 0;" if behind in CLOSING else "keepalive_timeout 1h;"
        text = NGINX.format(keepalive=keepalive, authorization=AUTHORIZATION, folder=folder, large=self.folder)
        nginx = await start_nginx(folder, text, tls=self.leaf if behind in TLS else None)
        self.exits.push_async_callback(nginx.child.stop)
        return nginx.address

    async def _bodies(self, behind: Behind) -> str:
        command = [sys.executable, "-m", "bench.bodies", AUTHORIZATION]
        if behind in TLS:
            chain, key = certificate_files(self.leaf, self.folder)
            command += ["--chain", str(chain), "--key", str(key)]
        child = await Child.start("the tool for bodies", command, cwd=CHECKOUT)
        self.exits.push_async_callback(child.stop)
        port = (await child.line(r"^listening on (\d+)"))[1]
        return f"https://localhost:{port}" if behind in TLS else f"http://127.0.0.1:{port}"


def certificate_files(leaf: trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    """Its chain and its key as files."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    return chain, key
