"""How soon a role, a token or an absence of the API server counts, on a real one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.cluster import grants
from tests.cluster.conftest import Echo, Start
from tests.cluster.grants import GET, account
from tests.cluster.installed import Cluster, account_kubeconfig, install
from tests.cluster.test_traffic import without_namespace
from tests.cluster.test_weather import metric
from tests.cluster.tokens import claims_of, signed, signing_key
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy
from tests.peers.kubectl import Kubectl
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


@pytest.fixture
async def token(cluster: Cluster, echo: Echo) -> str:
    """Of a ServiceAccount that may use the Connector `tool`, by a binding called `builder`."""
    await cluster.apply(without_namespace(connector("tool", echo.address)))
    server, namespace = cluster.server, cluster.namespace
    await asyncio.to_thread(grants.grant, server, namespace, "builder", account(namespace, "builder"), GET)
    return await asyncio.to_thread(server.service_account_token, namespace, "builder")


async def test_a_role_that_is_revoked_and_granted_again(cluster: Cluster, start: Start, token: str) -> None:
    server, namespace = cluster.server, cluster.namespace
    proxy = await start("proxy", "--auth-cache-ttl", f"{TTL:g}s")

    async def ask() -> int:
        return await status(proxy, namespace, token)

    assert await ask() == 200
    await asyncio.to_thread(grants.revoke, server, namespace, "builder")
    assert await seconds_until(403, ask) < TTL + BUSY
    await asyncio.to_thread(grants.grant, server, namespace, "again", account(namespace, "builder"), GET)
    assert await seconds_until(200, ask) < TTL + BUSY


async def test_an_account_that_is_deleted(cluster: Cluster, start: Start, token: str) -> None:
    namespace = cluster.namespace
    proxy = await start("proxy", "--auth-cache-ttl", f"{TTL:g}s")
    assert await status(proxy, namespace, token) == 200
    await cluster.ask("DELETE", cluster.path("serviceaccounts", "builder"))
    # The API server itself remembers tokens for ten seconds.
    assert await seconds_until(401, lambda: status(proxy, namespace, token)) < 10 + TTL + BUSY


async def test_a_token_that_ends_while_it_is_remembered(cluster: Cluster, start: Start, token: str) -> None:
    namespace = cluster.namespace
    proxy = await start("proxy", "--auth-cache-ttl", "10m")
    ends = int(time.time()) + 4
    short = signed(token, signing_key(cluster.server), exp=ends)
    assert claims_of(short)["exp"] == ends
    assert await status(proxy, namespace, short) == 200
    await seconds_until(401, lambda: status(proxy, namespace, short))
    assert ends <= time.time() < ends + BUSY
    assert await status(proxy, namespace, token) == 200


async def test_the_api_server_is_away(
    own_api_server: ApiServer, kubectl: str, exits: AsyncExitStack, tmp_path: Path, echo: Echo
) -> None:
    server = own_api_server
    admin = Kubectl(kubectl, tmp_path, server.kubeconfig)
    await asyncio.to_thread(install, server, admin)
    await asyncio.to_thread(server.create_namespace, "team")
    await Cluster(server, admin, "team").apply(without_namespace(connector("tool", echo.address)))
    await asyncio.to_thread(grants.grant, server, "team", "all", grants.group("system:serviceaccounts:team"), GET)
    known, new = [await asyncio.to_thread(server.service_account_token, "team", name) for name in ("known", "new")]
    ends = int(time.time()) + 12
    ending = signed(known, signing_key(server), exp=ends)
    proxies = []
    for options in (("--auth-cache-ttl", "1s"), ("--auth-cache-ttl", "1s", "--auth-stale-if-error", "0")):
        proxies.append(await start_cluster_proxy(account_kubeconfig(server, "proxy", tmp_path), *options))
        exits.push_async_callback(proxies[-1].child.stop)
    usual, none_stale = proxies
    for proxy in proxies:
        assert [await status(proxy, "team", token) for token in (known, ending)] == [200, 200]
    await asyncio.to_thread(server.stop_api_server)
    assert await seconds_until(503, lambda: status(none_stale, "team", known)) < 1 + BUSY
    await asyncio.sleep(0)
    assert [await status(usual, "team", token) for token in (known, new, "made up")] == [200, 503, 503]
    for question in ("token", "access"):
        name = f'connectors_proxy_auth_answers_total{{question="{question}",source="stale"}}'
        assert await metric(usual, name) >= 1
    await seconds_until(401, lambda: status(usual, "team", ending))
    assert ends <= time.time() < ends + BUSY, "no answer outlives its token"
    assert await status(usual, "team", known) == 200
    await asyncio.to_thread(server.start_api_server)
    assert await seconds_until(200, lambda: status(usual, "team", new)) < 10
    assert await seconds_until(200, lambda: status(none_stale, "team", known)) < 10
