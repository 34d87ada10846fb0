"""What many callers cost the API server, counted there; and what a flood of made-up tokens costs it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from aiohttp import web

from bench.callers import API, TEAM, Callers, ask, flood, make, reviews
from tests.cluster.installed import metric
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy
from tests.peers.tool import serve_tool

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(240)]

CALLERS, CONNECTORS = 1000, 100
RATE = 10
"""The default of --auth-failure-rate, of which ten seconds' worth may come at once."""


@pytest.fixture
async def tool(exits: AsyncExitStack) -> str:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    return await serve_tool(exits, answer)


async def cost(server: ApiServer, before: Counter[str]) -> dict[str, int]:
    after = await asyncio.to_thread(reviews, server)
    return {name: after[name] - before[name] for name in after}


async def start(server: ApiServer, exits: AsyncExitStack, *options: str) -> ClusterProcess:
    proxy = await start_cluster_proxy(server.kubeconfig, "--access-log", "off", *options)
    exits.push_async_callback(proxy.child.stop)
    return proxy


async def test_many_callers_and_a_flood(api_server: ApiServer, exits: AsyncExitStack, tool: str) -> None:
    """Of the tests that use this API server one runs at a time, so what it counts meanwhile is of these callers."""
    server = api_server
    made = await make(server, tool, callers=CALLERS, connectors=CONNECTORS)
    # A hundred Connectors more would be read by every process that a later test starts.
    exits.push_async_callback(asyncio.to_thread, server.must, "DELETE", f"{API}/namespaces/{TEAM}/connectors")
    proxy = await start(server, exits, "--auth-cache-ttl", "120s")
    await _a_thousand_cost_one_question_of_each_kind(server, proxy, made)
    await _a_flood_is_cut_off_and_harms_nobody_who_is_known(server, proxy, made)


async def _a_thousand_cost_one_question_of_each_kind(server: ApiServer, proxy: ClusterProcess, made: Callers) -> None:
    before = await asyncio.to_thread(reviews, server)
    # Each caller twice at once, and twice more: one in flight, two from memory.
    everybody = [made.request(number) for number in range(CALLERS) for _ in range(2)]
    for _ in range(2):
        done = await ask(proxy.url, everybody)
        assert done.statuses == {200: 2 * CALLERS}
    assert await cost(server, before) == {"tokenreviews": CALLERS, "subjectaccessreviews": CALLERS}


async def _a_flood_is_cut_off_and_harms_nobody_who_is_known(
    server: ApiServer, proxy: ClusterProcess, made: Callers
) -> None:
    before = await asyncio.to_thread(reviews, server)
    done = await ask(proxy.url, flood(5000))
    asked = (await cost(server, before))["tokenreviews"]
    assert done.statuses.keys() == {401, 429}
    # A burst, the rate for as long as the flood took, and what was under way when the limit was reached.
    assert asked <= RATE * 10 + RATE * (done.seconds + 1) + 64
    assert done.statuses[401] == asked
    limited = await metric(proxy, 'connectors_proxy_auth_answers_total{question="token",source="limited"}')
    assert limited == done.statuses[429]
    known = await ask(proxy.url, [made.request(number) for number in range(CALLERS)])
    assert known.statuses == {200: CALLERS}
    without = [{"Host": made.request(0)["Host"]} for _ in range(100)]
    assert (await ask(proxy.url, without)).statuses == {401: 100}
    assert (await cost(server, before))["tokenreviews"] == asked
