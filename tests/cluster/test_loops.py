"""Replicas know each other's marks: those of one installation, which its namespace's UID tells (threat 34)."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from tests.cluster.conftest import Start
from tests.cluster.installed import Cluster
from tests.cluster.test_traffic import without_namespace
from tests.peers.manifests import connector
from tests.peers.tool import serve_tool

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(120)]


async def test_t34_replicas_and_their_workers_leave_the_same_mark(
    cluster: Cluster, start: Start, exits: AsyncExitStack
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("CDN-Loop", "-"))

    await cluster.apply(without_namespace(connector("tool", await serve_tool(exits, answer))))
    options = "--client-auth", "none"
    replicas = [await start("proxy", *options), await start("proxy", *options, "--workers", "2")]
    headers = {"Host": f"c-tool.{cluster.namespace}.svc"}
    marks = set()
    async with aiohttp.ClientSession() as session:
        for proxy in replicas:
            async with session.get(proxy.url + "/x", headers=headers) as got:
                assert got.status == 200
                marks.add(mark := await got.text())
            # It has come back, by way of the other one.
            async with session.get(replicas[0].url + "/x", headers={**headers, "CDN-Loop": mark}) as got:
                assert got.status == 508
    assert len(marks) == 1
