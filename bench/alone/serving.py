"""This proxy over many Connectors, each with a Secret of its own: in files, or on an API server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from bench.measure import cpu_seconds
from bench.peers.logged import Logged
from bench.peers.ours import LOCAL, READY, generic_class, python_of
from standalone.demo import CHECKOUT
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import Manifest, auth, basic_auth, connector, write

SPACES = 200
# Seconds that each change gets: one in files is in effect within 2 s.
SETTLED = 2.5
STARTED = 180.0
# Passwords: with the second one the tool answers 200, with any other 401.
OTHER, RIGHT = "other", "secret"


class Source(Protocol):
    """Where Connectors come from."""

    def change(self, number: int, password: str) -> None:
        """Change a Connector's Secret."""

    @property
    def command(self) -> list[str]:
        """What serves them: module and options."""


def host(number: int) -> str:
    """The Connector's own name."""
    return f"c-tool-{number}.team-{number % SPACES}.svc"


def made(number: int, tool: str, password: str, note: str = "") -> tuple[Manifest, Manifest]:
    """A Connector, with `note` as an annotation, and its Secret."""
    space = f"team-{number % SPACES}"
    place = connector(f"tool-{number}", tool, namespace=space, auth=auth("basicAuth", f"login-{number}"))
    place["metadata"]["annotations"] = {"bench/note": note}
    return place, basic_auth(f"login-{number}", "robot", password, namespace=space)


class Files:
    """A file for each Connector and its Secret, served by `connectors serve`, which has the controller in it."""

    def __init__(self, folder: Path, tool: str, count: int, password: str = OTHER) -> None:
        self._folder, self._tool = folder, tool
        for number in range(count):
            self.change(number, password)

    def change(self, number: int, password: str, note: str = "") -> None:
        """Write its file."""
        write(self._folder, *made(number, self._tool, password, note), file=f"{number}.yaml")

    @property
    def command(self) -> list[str]:
        """`connectors serve`."""
        return ["standalone", "serve", str(self._folder), "--client-auth", "none", "--probe-interval", "0"]


class Stored:
    """Objects of an API server (the one of the tests, in this process), followed by `python -m proxy`."""

    def __init__(self, server: FakeApiServer, folder: Path, tool: str, count: int) -> None:
        self._server, self._tool = server, tool
        folder.mkdir()
        self._kubeconfig = server.kubeconfig(folder)
        server.put(generic_class())
        for number in range(count):
            self.change(number, OTHER)
            server.put(made(number, tool, OTHER)[0])

    def change(self, number: int, password: str) -> None:
        """Store it."""
        secret = made(number, self._tool, password)[1]
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.pop("stringData").items()}
        self._server.put({**secret, "data": data})

    @property
    def command(self) -> list[str]:
        """`python -m proxy`."""
        return ["proxy", "--kubeconfig", str(self._kubeconfig), "--client-auth", "none", *LOCAL]


@dataclass(frozen=True, slots=True)
class Serving:
    """A proxy over a Source. `ready`: its CPU, in seconds, when it said that it is."""

    source: Source
    proxy: Logged
    port: int
    ready: float

    async def status(self, number: int) -> int:
        """What a request to this Connector is answered with: 200 with the right password, else 401."""
        url, fields = f"http://127.0.0.1:{self.port}/small/", {"Host": host(number)}
        async with aiohttp.ClientSession() as session, session.get(url, headers=fields) as answer:
            return answer.status

    async def used(self) -> float:
        """CPU seconds of the next SETTLED seconds."""
        before = cpu_seconds(self.proxy.pid)
        await asyncio.sleep(SETTLED)
        return cpu_seconds(self.proxy.pid) - before


@asynccontextmanager
async def serving(
    source: Source, folder: Path, options: Sequence[str] = (), checkout: Path = CHECKOUT
) -> AsyncIterator[Serving]:
    """Serve them, at rest when this begins; `folder`, which is made, holds the log."""
    _make(folder)
    listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--access-log", "off", *options]
    async with AsyncExitStack() as exits:
        command = [str(python_of(checkout)), "-m", *source.command, *listen]
        proxy = await Logged.start(exits, command, folder, cwd=checkout)
        port = int((await proxy.line(READY, STARTED))[1].rpartition(":")[2])
        ready = cpu_seconds(proxy.pid)
        await asyncio.sleep(SETTLED)
        yield Serving(source, proxy, port, ready)


def _make(folder: Path) -> None:
    folder.mkdir()
