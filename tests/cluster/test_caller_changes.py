"""How soon a role or a token counts on a real API server; tests/cluster/test_outage.py has its absence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from tests.cluster import grants
from tests.cluster.conftest import Echo, Start
from tests.cluster.grants import GET, account
from tests.cluster.installed import Cluster
from tests.cluster.test_traffic import without_namespace
from tests.cluster.tokens import claims_of, signed, signing_key
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import connector

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]

TTL = 2.0
"""--auth-cache-ttl of these tests; what a request itself takes on a busy machine comes on top."""
BUSY = 1.5


async def status(proxy: ClusterProcess, namespace: str, token: str) -> int:
    headers = {"Host": f"c-tool.{namespace}.svc", "Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.get(proxy.url + "/x", headers=headers) as got:
        return got.status


async def seconds_until(wanted: int, ask: Callable[[], Awaitable[int]]) -> float:
    began = time.monotonic()
    async with asyncio.timeout(30):
        while await ask() != wanted:  # noqa: ASYNC110 - what changes is in another process
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_what_is_revoked_deleted_or_ends_is_refused_in_time(cluster: Cluster, start: Start, echo: Echo) -> None:
    """Three callers at once, since each of them waits most of the time."""
    await cluster.apply(without_namespace(connector("tool", echo.address)))
    proxy = await start("proxy", "--auth-cache-ttl", f"{TTL:g}s")
    remembering = await start("proxy", "--auth-cache-ttl", "10m")
    await asyncio.gather(
        a_role_is_revoked_and_granted_again(cluster, proxy),
        an_account_is_deleted(cluster, proxy),
        a_token_ends_while_it_is_remembered(cluster, remembering),
    )


async def caller(cluster: Cluster, name: str) -> str:
    """The token of a ServiceAccount that may use the Connector `tool`, by a binding; both are called `name`."""
    server, namespace = cluster.server, cluster.namespace
    await asyncio.to_thread(grants.grant, server, namespace, name, account(namespace, name), GET)
    return await asyncio.to_thread(server.service_account_token, namespace, name)


async def a_role_is_revoked_and_granted_again(cluster: Cluster, proxy: ClusterProcess) -> None:
    server, namespace = cluster.server, cluster.namespace
    token = await caller(cluster, "builder")

    async def ask() -> int:
        return await status(proxy, namespace, token)

    assert await ask() == 200
    await asyncio.to_thread(grants.revoke, server, namespace, "builder")
    assert await seconds_until(403, ask) < TTL + BUSY
    await asyncio.to_thread(grants.grant, server, namespace, "again", account(namespace, "builder"), GET)
    assert await seconds_until(200, ask) < TTL + BUSY


async def an_account_is_deleted(cluster: Cluster, proxy: ClusterProcess) -> None:
    namespace = cluster.namespace
    token = await caller(cluster, "leaver")
    assert await status(proxy, namespace, token) == 200
    await cluster.ask("DELETE", cluster.path("serviceaccounts", "leaver"))
    # The API server itself remembers tokens for ten seconds, which no flag of it changes.
    assert await seconds_until(401, lambda: status(proxy, namespace, token)) < 10 + TTL + BUSY


async def a_token_ends_while_it_is_remembered(cluster: Cluster, proxy: ClusterProcess) -> None:
    namespace = cluster.namespace
    token = await caller(cluster, "stayer")
    ends = int(time.time()) + 4
    short = signed(token, signing_key(cluster.server), exp=ends)
    assert claims_of(short)["exp"] == ends
    assert await status(proxy, namespace, short) == 200
    await seconds_until(401, lambda: status(proxy, namespace, short))
    assert ends <= time.time() < ends + BUSY
    assert await status(proxy, namespace, token) == 200
