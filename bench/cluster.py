"""What the measurements in a cluster share: the API server as its admin, and what a process has asked of it so far."""

from __future__ import annotations

import asyncio
import base64
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.installed import GROUP, install
from tests.peers.api_server import ADMIN_TOKEN, ApiServer, assets_folder
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.kubectl import Kubectl, kubectl_path
from tests.peers.manifests import Manifest

MIB = 1024**2
# Requests at once while the objects are made.
AT_ONCE = 32
PAYLOAD = base64.b64encode(b"x" * 1024).decode("ascii")
REQUESTS = re.compile(r'_kube_requests_total\{code="(\d+)",resource="(\w+)",verb="(\w+)"\} (\d+)')


class BenchError(Exception):
    """Something is lacking or did not come about; the message says what."""


def printed(measuring: Coroutine[Any, Any, str]) -> int:
    """Print what is measured, or what was lacking. Returns the exit code."""
    try:
        print(asyncio.run(measuring))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def on_api_server(measure: Callable[[ApiServer, Path], Coroutine[Any, Any, list[str]]]) -> int:
    """Print the lines that `measure` has of a new API server, which gets a folder too. Returns the exit code."""
    assets = assets_folder()
    if assets is None:
        print("KUBEBUILDER_ASSETS must name a folder with kube-apiserver and etcd", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, ApiServer(assets, Path(folder)) as server:
        print("\n".join(asyncio.run(measure(server, Path(folder)))))
    return 0


class Api:
    """The API server as its admin, many requests at once."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self._session = session
        self._slots = asyncio.Semaphore(AT_ONCE)

    @classmethod
    async def start(cls, exits: AsyncExitStack, folder: Path) -> Api:
        """An API server with deploy/ in it, until `exits` are left.

        Raises:
            BenchError: there is no API server, or no kubectl.
        """
        assets = assets_folder()
        tool_path = kubectl_path(assets)
        if assets is None or tool_path is None:
            raise BenchError("set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd, and install kubectl")
        server = await asyncio.to_thread(exits.enter_context, ApiServer(assets, folder / "server"))
        await asyncio.to_thread(install, server, Kubectl(tool_path, folder, server.kubeconfig))
        pool = aiohttp.TCPConnector(limit=AT_ONCE, ssl=server.context)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return cls(server, await exits.enter_async_context(aiohttp.ClientSession(connector=pool, headers=headers)))

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Create an object."""
        async with self._slots, self._session.post(self.server.url + path, json=body) as answer:
            if answer.status >= 300:
                raise BenchError(f"{path}: {answer.status}: {await answer.text()}")

    async def merge(self, path: str, body: dict[str, Any]) -> None:
        """Change an object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(self.server.url + path, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise BenchError(f"{path}: {answer.status}: {await answer.text()}")

    async def namespaces(self, names: Iterable[str]) -> None:
        """Create them."""
        await all_of(self.post("/api/v1/namespaces", {"metadata": {"name": name}}) for name in names)

    async def connect(self, made: Manifest, login: Manifest) -> None:
        """Create a Connector, and before it the Secret that it refers to, in its namespace."""
        space = made["metadata"]["namespace"]
        await self.post(f"/api/v1/namespaces/{space}/secrets", login)
        await self.post(f"{GROUP}/namespaces/{space}/connectors", made)

    async def connectors(self) -> list[Manifest]:
        """All Connectors, as they are stored."""
        async with self._session.get(f"{self.server.url}{GROUP}/connectors") as answer:
            found: list[Manifest] = (await answer.json())["items"]
        return found


def secret(name: str, password: str) -> Manifest:
    """A Secret of about a kilobyte, for user `robot`."""
    encoded = base64.b64encode(password.encode()).decode("ascii")
    data = {"username": "cm9ib3Q=", "password": encoded, "payload": PAYLOAD}
    return {"metadata": {"name": name}, "type": "kubernetes.io/basic-auth", "data": data}


async def all_of(work: Iterable[Awaitable[None]]) -> None:
    """Do it all at once, or as much at once as it allows itself."""
    await asyncio.gather(*work)


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests to the API server so far."""

    reads: int
    writes: int


async def counts(process: ClusterProcess) -> Counts:
    """From its own metrics; Leases and TokenReviews are not counted."""
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        found = REQUESTS.findall(await answer.text())
    reads = sum(int(count) for _, resource, verb, count in found if verb in {"get", "list", "watch"})
    writing = [(resource, int(count)) for _, resource, verb, count in found if verb not in {"get", "list", "watch"}]
    return Counts(reads, sum(count for resource, count in writing if resource not in {"leases", "tokenreviews"}))


async def until(true: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
    """Ask until it is true; returns how many seconds that took.

    Raises:
        BenchError: it took longer than `seconds`.
    """
    began = time.monotonic()
    while not await true():
        if time.monotonic() - began > seconds:
            raise BenchError(f"{what} took longer than {seconds:g} s")
        await asyncio.sleep(1.0)  # a list of thousands of objects, asked more often, would be what is measured
    return time.monotonic() - began


async def quiet(process: ClusterProcess) -> bool:
    """Whether it writes nothing any more: Events follow behind."""
    before = await counts(process)
    await asyncio.sleep(2.0)
    return (await counts(process)).writes == before.writes


@dataclass(frozen=True, slots=True)
class Rest:
    """What `seconds` without any change cost one process."""

    seconds: float
    cpu: float
    reads: int
    writes: int


async def rest(process: ClusterProcess, seconds: float) -> Rest:
    """Measure while nothing happens. What it costs to ask for the numbers does not count."""
    before, began, cpu = await counts(process), time.monotonic(), process.cpu_seconds
    await asyncio.sleep(seconds)
    took, cpu = time.monotonic() - began, process.cpu_seconds - cpu
    after = await counts(process)
    return Rest(took, cpu, after.reads - before.reads, after.writes - before.writes)
