"""Both processes against a real API server with many objects: `make bench-cluster`.

2,000 Connectors in 200 namespaces, each with a Secret of its own, beside 20,000 Secrets that nobody refers to. Measured
are the time until everything is ready, peak memory, requests to the API server, and what a minute of rest costs.
Prints a Markdown table. Needs KUBEBUILDER_ASSETS and kubectl.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.cluster.installed import account_kubeconfig, install
from tests.peers.api_server import ADMIN_TOKEN, ApiServer, assets_folder
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.kubectl import Kubectl, kubectl_path
from tests.peers.manifests import auth, connector

MIB = 1024**2
AT_ONCE = 32
"""Requests at once while the objects are made."""
PAYLOAD = base64.b64encode(b"x" * 1024).decode("ascii")
REQUESTS = re.compile(r'_kube_requests_total\{code="(\d+)",resource="(\w+)",verb="(\w+)"\} (\d+)')


class BenchError(Exception):
    """Something is lacking or did not come about; the message says what."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is made; `secrets` are those that nobody refers to."""

    namespaces: int
    connectors: int
    secrets: int


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests to the API server so far."""

    reads: int
    writes: int


class Api:
    """The API server as its admin, many requests at once."""

    def __init__(self, server: ApiServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def post(self, path: str, body: dict[str, Any]) -> None:
        """Create an object."""
        async with self._slots, self._session.post(self._server.url + path, json=body) as answer:
            if answer.status >= 300:
                raise BenchError(f"{path}: {answer.status}: {await answer.text()}")

    async def merge(self, path: str, body: dict[str, Any]) -> None:
        """Change an object."""
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._session.patch(self._server.url + path, json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise BenchError(f"{path}: {answer.status}: {await answer.text()}")

    async def ready(self) -> int:
        """How many Connectors are Ready."""
        path = "/apis/connectors.alauda.io/v1alpha1/connectors"
        async with self._session.get(self._server.url + path) as answer:
            items = (await answer.json())["items"]
        return sum(_is_ready(item) for item in items)


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(found["type"] == "Ready" and found["status"] == "True" for found in conditions)


def secret(name: str, password: str) -> dict[str, Any]:
    """A Secret of about a kilobyte."""
    encoded = base64.b64encode(password.encode()).decode("ascii")
    data = {"username": "cm9ib3Q=", "password": encoded, "payload": PAYLOAD}
    return {"metadata": {"name": name}, "type": "kubernetes.io/basic-auth", "data": data}


async def fill(api: Api, size: Size, tool: str) -> None:
    """Make all objects."""
    spaces = [f"team-{number}" for number in range(size.namespaces)]
    await _all(api.post("/api/v1/namespaces", {"metadata": {"name": name}}) for name in spaces)

    async def one(space: str, number: int) -> None:
        await api.post(f"/api/v1/namespaces/{space}/secrets", secret(f"login-{number}", "one"))
        made = connector(f"tool-{number}", tool, "git", namespace=space, auth=auth("basicAuth", f"login-{number}"))
        await api.post(f"/apis/connectors.alauda.io/v1alpha1/namespaces/{space}/connectors", made)

    await _all(one(spaces[number % len(spaces)], number) for number in range(size.connectors))
    await _all(
        api.post(f"/api/v1/namespaces/{spaces[number % len(spaces)]}/secrets", secret(f"other-{number}", "x"))
        for number in range(size.secrets)
    )


async def _all(work: Iterable[Awaitable[None]]) -> None:
    await asyncio.gather(*work)


async def counts(process: ClusterProcess) -> Counts:
    """From its own metrics; Leases and TokenReviews are not counted."""
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        found = REQUESTS.findall(await answer.text())
    reads = sum(int(count) for _, resource, verb, count in found if verb in {"get", "list", "watch"})
    writing = [(resource, int(count)) for _, resource, verb, count in found if verb not in {"get", "list", "watch"}]
    return Counts(reads, sum(count for resource, count in writing if resource not in {"leases", "tokenreviews"}))


async def _until(true: Callable[[], Awaitable[bool]], seconds: float, what: str) -> float:
    began = time.monotonic()
    while not await true():
        if time.monotonic() - began > seconds:
            raise BenchError(f"{what} took longer than {seconds:g} s")
        await asyncio.sleep(1.0)  # a list of thousands of objects, asked more often, would be what is measured
    return time.monotonic() - began


async def _quiet(process: ClusterProcess) -> bool:
    """Whether it writes nothing any more: Events follow behind."""
    before = await counts(process)
    await asyncio.sleep(2.0)
    return (await counts(process)).writes == before.writes


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A tool that answers with the Authorization field it got."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", ""))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def rotation(api: Api, proxy: ClusterProcess, size: Size, turns: int) -> list[float]:
    """Seconds from the answer to a change of a Secret until traffic has it, `turns` times."""
    took = []
    async with aiohttp.ClientSession() as session:
        for turn in range(turns):
            number = turn * (size.connectors // turns)
            space, password = f"team-{number % size.namespaces}", f"rotated-{turn}"
            wanted = "Basic " + base64.b64encode(f"robot:{password}".encode()).decode("ascii")
            path = f"/api/v1/namespaces/{space}/secrets/login-{number}"
            await api.merge(path, {"stringData": {"password": password}})
            url = f"{proxy.url}/namespaces/{space}/connectors/tool-{number}/x"

            async def has(url: str = url, wanted: str = wanted) -> bool:
                async with session.get(url) as answer:
                    return await answer.text() == wanted

            began = time.monotonic()
            while not await has():
                if time.monotonic() - began > 10:
                    raise BenchError("a changed Secret did not reach traffic within 10 s")
                await asyncio.sleep(0.005)
            took.append(time.monotonic() - began)
    return sorted(took)


@dataclass(frozen=True, slots=True)
class Rest:
    """What `seconds` without any change cost one process."""

    seconds: float
    cpu: float
    reads: int
    writes: int


async def rest(process: ClusterProcess, seconds: float) -> Rest:
    """Measure while nothing happens."""
    before, cpu = await counts(process), process.cpu_seconds
    await asyncio.sleep(seconds)
    after = await counts(process)
    return Rest(seconds, process.cpu_seconds - cpu, after.reads - before.reads, after.writes - before.writes)


async def measure(size: Size, resting: float) -> str:
    """The whole run; returns the table."""
    assets = assets_folder()
    tool_path = kubectl_path(assets)
    if assets is None or tool_path is None:
        raise BenchError("set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd, and install kubectl")
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        server = await asyncio.to_thread(exits.enter_context, ApiServer(assets, folder / "server"))
        await asyncio.to_thread(install, server, Kubectl(tool_path, folder, server.kubeconfig))
        tool = await exits.enter_async_context(echo())
        connector_ = aiohttp.TCPConnector(limit=AT_ONCE, ssl=server.context)
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        api = Api(server, await exits.enter_async_context(aiohttp.ClientSession(connector=connector_, headers=headers)))
        began = time.monotonic()
        await fill(api, size, tool)
        print(f"made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        return await _compare(exits, api, server, size, resting, folder)


async def _compare(exits: AsyncExitStack, api: Api, server: ApiServer, size: Size, resting: float, folder: Path) -> str:
    began = time.monotonic()
    options = ("--client-auth", "none", "--access-log", "off")
    proxy = await start_cluster_proxy(account_kubeconfig(server, "proxy", folder), *options, ready=120)
    exits.push_async_callback(proxy.child.stop)
    proxy_ready = time.monotonic() - began
    proxy_counts = await counts(proxy)

    began = time.monotonic()
    controller = await start_controller(account_kubeconfig(server, "controller", folder))
    exits.push_async_callback(controller.child.stop)

    async def all_ready() -> bool:
        return await api.ready() == size.connectors

    await _until(all_ready, 600, "making every Connector ready")
    controller_ready = time.monotonic() - began
    controller_counts = await counts(controller)
    took = await rotation(api, proxy, size, 20)
    await _until(lambda: _quiet(controller), 300, "writing the last Events")
    resting_proxy, resting_controller = await asyncio.gather(rest(proxy, resting), rest(controller, resting))
    rows = [
        ("ready after, s", f"{proxy_ready:.1f}", f"{controller_ready:.1f}"),
        ("peak resident memory, MiB", f"{proxy.peak_memory / MIB:.0f}", f"{controller.peak_memory / MIB:.0f}"),
        ("reads from the API server until ready", f"{proxy_counts.reads:,}", f"{controller_counts.reads:,}"),
        ("writes until ready", f"{proxy_counts.writes:,}", f"{controller_counts.writes:,}"),
        (f"CPU seconds in {resting:.0f} s of rest", f"{resting_proxy.cpu:.2f}", f"{resting_controller.cpu:.2f}"),
        (f"writes in {resting:.0f} s of rest", f"{resting_proxy.writes}", f"{resting_controller.writes}"),
        ("a changed Secret in traffic after, median s", f"{took[len(took) // 2]:.2f}", ""),
        ("the same, slowest of 20, s", f"{took[-1]:.2f}", ""),
    ]
    lines = ["| measure | proxy | controller |", "|---|--:|--:|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m bench.in_cluster", description=__doc__)
    parser.add_argument("--namespaces", type=int, default=200)
    parser.add_argument("--connectors", type=int, default=2000)
    parser.add_argument("--secrets", type=int, default=20_000)
    parser.add_argument("--rest", type=float, default=60.0, help="seconds")
    given = parser.parse_args()
    try:
        print(asyncio.run(measure(Size(given.namespaces, given.connectors, given.secrets), given.rest)))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
