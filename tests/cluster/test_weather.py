"""Bad weather at a real API server: restarts, a lost history, two controllers, a leader that dies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.cluster.installed import Cluster, account_kubeconfig, install
from tests.cluster.test_traffic import without_namespace
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.kubectl import Kubectl
from tests.peers.manifests import connector

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
async def cluster(start_own_api_server: Callable[..., ApiServer], kubectl: str, tmp_path: Path) -> Cluster:
    """Without a watch cache, so that a compaction ends watches with 410 as a long absence does."""
    server = await asyncio.to_thread(start_own_api_server, "--watch-cache=false")
    admin = Kubectl(kubectl, tmp_path, server.kubeconfig)
    await asyncio.to_thread(install, server, admin)
    await asyncio.to_thread(server.create_namespace, "team")
    return Cluster(server, admin, "team")


async def metric(process: ClusterProcess, line: str) -> float:
    """The value of one line of /metrics, 0 where there is none."""
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        found = [text for text in (await answer.text()).splitlines() if text.startswith(line + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def leads(process: ClusterProcess) -> bool:
    return await metric(process, "connectors_controller_leader") == 1


async def test_a_history_that_is_lost_while_they_were_cut_off(
    cluster: Cluster, exits: AsyncExitStack, tmp_path: Path
) -> None:
    proxy = await start_cluster_proxy(account_kubeconfig(cluster.server, "proxy", tmp_path), "--client-auth", "none")
    exits.push_async_callback(proxy.child.stop)
    controller = await start_controller(account_kubeconfig(cluster.server, "controller", tmp_path))
    exits.push_async_callback(controller.child.stop)
    await cluster.apply(without_namespace(connector("stays", "https://a.example", "git")))
    await cluster.apply(without_namespace(connector("goes", "https://a.example", "git")))
    await cluster.until_ready("stays")
    await cluster.until_ready("goes")
    # While both are cut off and history goes: one Connector comes, one goes, one changes.
    await asyncio.to_thread(cluster.server.stop_api_server)
    await asyncio.to_thread(cluster.server.start_api_server)
    await cluster.ask("DELETE", cluster.path("connectors", "goes"))
    await cluster.ask("PATCH", cluster.path("connectors", "stays"), {"spec": {"connectorClassName": "nosuch"}})
    await cluster.apply(without_namespace(connector("comes", "https://a.example", "git")))
    await asyncio.to_thread(cluster.server.compact)
    await cluster.until_ready("comes", seconds=30)
    await cluster.until_ready("stays", "False", seconds=30)
    # Each process has a back-off of its own, so the proxy may come back after the controller.
    wanted = {"goes": "ConnectorNotFound", "stays": "ConnectorInvalid"}
    async with asyncio.timeout(30):
        while await reasons(proxy, *wanted) != wanted:  # noqa: ASYNC110 - only asking tells what it serves
            await asyncio.sleep(0.1)


async def reasons(proxy: ClusterProcess, *names: str) -> dict[str, str | None]:
    """The reason of the refusal that each Connector's requests get."""
    found = {}
    async with aiohttp.ClientSession() as session:
        for name in names:
            async with session.get(proxy.url + "/x", headers={"Host": f"c-{name}.team.svc"}) as answer:
                found[name] = answer.headers.get("X-Connectors-Reason")
    return found


async def test_two_controllers_take_turns(cluster: Cluster, exits: AsyncExitStack, tmp_path: Path) -> None:
    kubeconfig = account_kubeconfig(cluster.server, "controller", tmp_path)
    first = await start_controller(kubeconfig)
    exits.push_async_callback(first.child.stop)
    await cluster.apply(without_namespace(connector("one", "https://a.example", "git")))
    await cluster.until_ready("one")
    second = await start_controller(kubeconfig)
    exits.push_async_callback(second.child.stop)
    await cluster.apply(without_namespace(connector("two", "https://a.example", "git")))
    await cluster.until_ready("two")
    assert [await leads(process) for process in (first, second)] == [True, False]
    written = 'connectors_controller_writes_total{resource="connectors",verb="update"}'
    assert (await metric(first, written), await metric(second, written)) == (2, 0)
    # A leader that ends lets go: the other need not wait for the Lease to expire.
    await first.child.stop()
    await cluster.apply(without_namespace(connector("three", "https://a.example", "git")))
    await cluster.until_ready("three", seconds=8)
    assert await metric(second, written) == 1
