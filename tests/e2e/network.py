"""A network in which a tool's name leads first to a tool and then to where nobody may go, with witnesses there."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import aiohttp

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import Manifest, write
from tests.peers.name_server import NameServer
from tests.peers.namespace import Namespace
from tests.peers.proxy_process import ProxyProcess
from tests.peers.witness import OK, Witness

PUBLIC, SECOND = "203.0.113.10", "203.0.113.20"
METADATA = "169.254.169.254"
METADATA_NAT64 = "64:ff9b::a9fe:a9fe"
ADDRESSES = [f"{PUBLIC}/32", f"{SECOND}/32", f"{METADATA}/32", f"{METADATA_NAT64}/128"]


class Got(NamedTuple):
    """What a caller of the proxy got."""

    status: int
    reason: str
    body: str


@dataclass(frozen=True, slots=True)
class Network:
    """What a test starts in its network ends with the test."""

    namespace: Namespace
    names: NameServer
    folder: Path
    exits: AsyncExitStack
    start_proxy: StartProxy

    async def witness(
        self, ip: str, port: int = 80, *, answer: bytes = OK, tls: ssl.SSLContext | None = None
    ) -> Witness:
        """A tool there, or where none should be."""
        return await self.exits.enter_async_context(Witness(self.namespace, ip, port, answer=answer, tls=tls))

    def manifests(self, *manifests: Manifest) -> Path:
        """Written down."""
        return write(self.folder / "manifests", *manifests)

    async def serve(self, *options: str, env: Mapping[str, str] | None = None) -> ProxyProcess:
        """`connectors serve` of the manifests."""
        return await self.start_proxy(self.folder / "manifests", *options, env=env, entered=self.namespace.entered)

    async def run(self, module: str, *words: str) -> tuple[int, str]:
        """The exit code and the output of `python -m MODULE WORDS`."""
        command = [*self.namespace.entered, sys.executable, "-m", module, *words]
        child = await Child.start(module, command, env={"PATH": os.defpath}, cwd=CHECKOUT)
        self.exits.push_async_callback(child.stop)
        return await child.wait(), child.log

    async def get(self, url: str) -> Got:
        """One request, over a connection of its own."""
        connector = aiohttp.TCPConnector(socket_factory=lambda info: self.namespace.new_socket(info[0]))
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
            return Got(answer.status, answer.headers.get("X-Connectors-Reason", ""), await answer.text())
