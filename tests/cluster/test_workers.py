"""`python -m proxy --workers 2` on a real API server: one process watches, both of the others ask about callers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.cluster import grants
from tests.cluster.conftest import Echo, Start
from tests.cluster.grants import GET, account
from tests.cluster.installed import Cluster, metric
from tests.cluster.test_traffic import without_namespace
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import auth, basic_auth, connector

pytestmark = [pytest.mark.apiserver, pytest.mark.slow, pytest.mark.timeout(120)]

CONNECTIONS = 8
SECRET = "canary-5b1e"


async def statuses(proxy: ClusterProcess, namespace: str, token: str) -> set[int]:
    """Of requests on connections that are open at once, so that each worker has some."""
    headers = {"Host": f"c-tool.{namespace}.svc", "Authorization": f"Bearer {token}"}

    async def one() -> int:
        async with aiohttp.ClientSession() as session, session.get(proxy.url + "/x", headers=headers) as got:
            status = got.status
            await arrived.wait()
            return status

    arrived = asyncio.Barrier(CONNECTIONS)
    return set(await asyncio.gather(*(one() for _ in range(CONNECTIONS))))


async def until_statuses(wanted: set[int], proxy: ClusterProcess, namespace: str, token: str) -> None:
    async with asyncio.timeout(20):
        while await statuses(proxy, namespace, token) != wanted:  # noqa: ASYNC110 - what changes is in other processes
            await asyncio.sleep(0.1)


def workers_of(proxy: ClusterProcess) -> list[int]:
    pid = proxy.child.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


async def test_callers_are_reviewed_in_each_worker_and_objects_watched_once(
    cluster: Cluster, start: Start, echo: Echo
) -> None:
    server, namespace = cluster.server, cluster.namespace
    tool = connector("tool", echo.address, auth=auth("basicAuth", "login"))
    await cluster.apply(without_namespace(basic_auth("login", "robot", SECRET)), without_namespace(tool))
    await asyncio.to_thread(grants.grant, server, namespace, "builder", account(namespace, "builder"), GET)
    token = await asyncio.to_thread(server.service_account_token, namespace, "builder")
    proxy = await start("proxy", "--workers", "2", "--auth-cache-ttl", "1s")
    assert len(workers_of(proxy)) == 2
    await until_statuses({200}, proxy, namespace, token)
    assert await statuses(proxy, namespace, "made-up") == {401}
    # One for each watch of the process that was started; none of a worker's.
    watches = 'connectors_proxy_kube_requests_total{code="200",resource="connectors",verb="watch"}'
    assert await metric(proxy, watches) == 1
    reviews = 'connectors_proxy_kube_requests_total{code="201",resource="tokenreviews",verb="create"}'
    assert await metric(proxy, reviews) >= 2, "each of them asks, and their questions are added up"

    os.kill(workers_of(proxy)[0], signal.SIGKILL)
    await proxy.child.line(r"another one takes its place")
    async with asyncio.timeout(20):
        while await metric(proxy, "connectors_proxy_workers") < 2:  # noqa: ASYNC110 - of other processes
            await asyncio.sleep(0.05)
    assert await statuses(proxy, namespace, token) == {200}
    assert await metric(proxy, "connectors_proxy_worker_restarts_total") == 1

    await asyncio.to_thread(grants.revoke, server, namespace, "builder")
    await until_statuses({403}, proxy, namespace, token)
    for pid in (proxy.child.pid, *workers_of(proxy)):
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    assert await proxy.child.stop() == 0
    assert SECRET not in proxy.child.log
