"""Debian's docker-registry as a tool that asks for a password (Basic)."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from standalone.child import Child
from tests.peers.tools import program

CONFIGURATION = """
version: 0.1
log: {{level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/images}}}}
http: {{addr: "127.0.0.1:0", secret: of-a-test}}
auth: {{htpasswd: {{realm: tool, path: {folder}/passwords}}}}
"""


@dataclass(frozen=True, slots=True)
class ImageRegistry:
    """A running registry; `address` is what a Connector's spec.address takes."""

    address: str
    child: Child


async def start_image_registry(folder: Path, username: str, password: str) -> ImageRegistry:
    """Start it below `folder`; skips where it is lacking."""
    binary, htpasswd = program("docker-registry"), program("htpasswd")
    folder.mkdir()
    process = await asyncio.create_subprocess_exec(
        htpasswd, "-iBn", username, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    line, _ = await process.communicate(password.encode())
    (folder / "passwords").write_bytes(line)
    configuration = folder / "config.yml"
    configuration.write_text(CONFIGURATION.format(folder=folder), encoding="utf-8")
    child = await Child.start("docker-registry", [binary, "serve", str(configuration)], env={"PATH": os.defpath})
    port = (await child.line(r"listening on 127\.0\.0\.1:(\d+)"))[1]
    return ImageRegistry(f"http://127.0.0.1:{port}", child)
