"""A short run over a proxy that really serves: clients that stay, and how long its loop stands still."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from bench.alone.idle_clients import measure
from bench.alone.many_connectors import slowest
from bench.alone.serving import OTHER, RIGHT, Files, serving
from bench.peers.peer import Behind
from bench.rounds import Field
from tests.peers.tools import program

KIB = 1024


@pytest.mark.nginx
async def test_clients_that_stay_and_a_change(tmp_path: Path) -> None:
    program("nginx")
    async with AsyncExitStack() as exits:
        tool = await Field(exits, tmp_path).tool(Behind.KEPT)
        files = Files(tmp_path / "files", tool, 2, RIGHT)
        files.change(1, OTHER)
        proxy = await exits.enter_async_context(serving(files, tmp_path / "log"))
        assert (await proxy.status(0), await proxy.status(1)) == (200, 401)
        found = await measure(proxy, 200)
        assert found["clients"] == 200
        assert 0.5 * KIB < found["bytes each"] < 64 * KIB
        files.change(1, RIGHT)
        waited = await slowest(proxy.port, [partial(asyncio.sleep, 0.5), proxy.used])
        assert 0 < waited < 5000
        assert await proxy.status(1) == 200
        assert 0 < proxy.ready < 60
