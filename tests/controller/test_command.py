"""`python -m controller` as a process, against an API server that answers as told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from connectors.kube.resources import LEASES
from controller.command import main
from tests.peers.cluster_processes import start_controller
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector, connector_class


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        server.put(connector_class("open"))
        server.put(connector("tool", "https://tool.example", "open", namespace="team"))
        yield server


async def test_it_leads_writes_and_lets_go_of_the_lease(
    server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack
) -> None:
    process = await start_controller(server.kubeconfig(tmp_path))
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    lease = server.get(LEASES, "connectors-controller-manager", "connectors-system")
    assert lease is not None
    assert lease["spec"]["holderIdentity"]
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/readyz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        text = await answer.text()
    assert "connectors_controller_leader 1.0" in text
    assert 'connectors_controller_watch_connected{resource="services"} 1.0' in text
    assert await process.child.stop() == 0
    released = server.get(LEASES, "connectors-controller-manager", "connectors-system")
    assert released is not None
    assert not released["spec"].get("holderIdentity")


async def test_the_only_replica_needs_no_lease(server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack) -> None:
    process = await start_controller(server.kubeconfig(tmp_path), "--no-leader-elect", "--namespace", "system")
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    assert server.all(LEASES) == []
    assert await process.child.stop() == 0


def test_no_way_to_an_api_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"KUBECONFIG": str(tmp_path / "nosuch")}) == 1
    assert "python -m controller: error: no way to an API server: " in capsys.readouterr().err
