"""Both processes on a real API server, with squid between them and the tool: its login is in the system namespace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.cluster.conftest import Echo, Start
from tests.cluster.installed import POLL, SYSTEM, Cluster, condition
from tests.cluster.test_traffic import without_namespace
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import Manifest, basic_auth, connector, connector_class
from tests.peers.squid import PASSWORD, TOOL, USER, Squid, running_squid

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]

SECRETS = f"/api/v1/namespaces/{SYSTEM}/secrets"
LOGIN = "upstream-login"
CLASS = connector_class("through-squid", livenessProbe={"http": {"path": "/"}})
UNKNOWN = {"annotations": {"connectors.cpaas.io/upstream-proxy": "other"}}


@pytest.fixture
async def squid() -> AsyncIterator[Squid]:
    async with running_squid() as started:
        yield started


def login(password: str, namespace: str = SYSTEM) -> Manifest:
    return basic_auth(LOGIN, USER, password, namespace=namespace)


async def put(cluster: Cluster, manifest: Manifest) -> None:
    """The Secret, whether or not it was there."""
    await asyncio.to_thread(cluster.server.ask, "DELETE", f"{SECRETS}/{LOGIN}")
    await cluster.ask("POST", SECRETS, manifest)


async def answered(proxy: ClusterProcess, cluster: Cluster, name: str = "tool") -> tuple[int, str]:
    headers = {"Host": f"c-{name}.{cluster.namespace}.svc.cluster.local"}
    async with aiohttp.ClientSession() as session, session.get(proxy.url + "/x", headers=headers) as got:
        return got.status, await got.text()


async def until(proxy: ClusterProcess, cluster: Cluster, status: int, words: str) -> None:
    end = time.monotonic() + 20.0
    while (got := await answered(proxy, cluster))[0] != status or words not in got[1]:
        assert time.monotonic() < end, got
        await asyncio.sleep(POLL)


async def test_t07_the_login_of_a_proxy_is_read_in_the_system_namespace(
    cluster: Cluster, start: Start, echo: Echo, squid: Squid
) -> None:
    address = echo.address.replace("127.0.0.1", TOOL)
    tool = connector("tool", address, "through-squid")
    lost = connector("lost", address, "through-squid", metadata=UNKNOWN)
    # A tenant's Secret of that name is not asked.
    own = login(PASSWORD, cluster.namespace)
    await cluster.apply(CLASS, without_namespace(own), without_namespace(tool), without_namespace(lost))
    flags = ("--upstream-proxy", squid.url, "--upstream-proxy-secret", LOGIN)
    proxy = await start("proxy", "--client-auth", "none", "--workers", "2", *flags)
    controller = await start("controller", "--probe-interval", "1s", *flags)
    try:
        await until(proxy, cluster, 502, "upstream proxy default cannot be used")
        await put(cluster, login("outdated"))
        await until(proxy, cluster, 502, "upstream proxy default refused the credentials")
        await put(cluster, login(PASSWORD))
        await until(proxy, cluster, 200, "/x -")
        await cluster.until(
            "connectors", "tool", lambda found: condition(found, "LivenessReady").get("status") == "True"
        )
        assert (await answered(proxy, cluster, "lost"))[0] == 503
        told = condition(await cluster.until_ready("lost", "False"), "Ready")["message"]
        assert "names no upstream proxy of this installation; write default or none" in told
        # What told them was squid: no one else here resolves that name.
        log = await squid.logged(2)
        assert f"GET {address}/x 200" in log
        assert "User-Agent:%20connectors/" in log
        for process in (proxy, controller):
            assert PASSWORD not in process.child.log
            assert await process.child.stop() == 0
    finally:
        await asyncio.to_thread(cluster.server.ask, "DELETE", f"{SECRETS}/{LOGIN}")
