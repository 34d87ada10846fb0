"""Both processes against a real API server with many objects: `make bench-cluster`.

2,000 Connectors in 200 namespaces, each with a Secret of its own, beside 20,000 Secrets that nobody refers to. Measured
are the time until everything is ready, peak memory, requests to the API server, and what a minute of rest costs.
Prints a Markdown table. Needs KUBEBUILDER_ASSETS and kubectl.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.cluster import MIB, Api, BenchError, all_of, counts, printed, quiet, rest, secret, until
from tests.cluster.installed import account_kubeconfig, condition
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.manifests import auth, connector


@dataclass(frozen=True, slots=True)
class Size:
    """How much is made; `secrets` are those that nobody refers to."""

    namespaces: int
    connectors: int
    secrets: int


async def ready(api: Api) -> int:
    """How many Connectors are Ready."""
    return sum(condition(found, "Ready").get("status") == "True" for found in await api.connectors())


async def fill(api: Api, size: Size, tool: str) -> None:
    """Make all objects."""
    spaces = [f"team-{number}" for number in range(size.namespaces)]
    await api.namespaces(spaces)

    async def one(space: str, number: int) -> None:
        made = connector(f"tool-{number}", tool, "git", namespace=space, auth=auth("basicAuth", f"login-{number}"))
        await api.connect(made, secret(f"login-{number}", "one"))

    await all_of(one(spaces[number % len(spaces)], number) for number in range(size.connectors))
    await all_of(
        api.post(f"/api/v1/namespaces/{spaces[number % len(spaces)]}/secrets", secret(f"other-{number}", "x"))
        for number in range(size.secrets)
    )


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


async def measure(size: Size, resting: float) -> str:
    """The whole run; returns the table."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        api = await Api.start(exits, folder)
        tool = await exits.enter_async_context(echo())
        began = time.monotonic()
        await fill(api, size, tool)
        print(f"made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        return await _compare(exits, api, size, resting, folder)


async def _compare(exits: AsyncExitStack, api: Api, size: Size, resting: float, folder: Path) -> str:
    began = time.monotonic()
    options = ("--client-auth", "none", "--access-log", "off")
    proxy = await start_cluster_proxy(account_kubeconfig(api.server, "proxy", folder), *options, ready=120)
    exits.push_async_callback(proxy.child.stop)
    proxy_ready = time.monotonic() - began
    proxy_counts = await counts(proxy)

    began = time.monotonic()
    controller = await start_controller(account_kubeconfig(api.server, "controller", folder))
    exits.push_async_callback(controller.child.stop)

    async def all_ready() -> bool:
        return await ready(api) == size.connectors

    await until(all_ready, 600, "making every Connector ready")
    controller_ready = time.monotonic() - began
    controller_counts = await counts(controller)
    took = await rotation(api, proxy, size, 20)
    await until(lambda: quiet(controller), 300, "writing the last Events")
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
    return printed(measure(Size(given.namespaces, given.connectors, given.secrets), given.rest))


if __name__ == "__main__":
    sys.exit(main())
