"""Callers who fail as often as they can keep no new caller out who has a valid token (threats 8 and 33)."""

from __future__ import annotations

import asyncio
import secrets
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from tests.cluster import grants
from tests.cluster.conftest import Echo, Start
from tests.cluster.flood import ADDRESSES, Place, ask, flood
from tests.cluster.grants import GET, group
from tests.cluster.installed import Cluster, metric
from tests.cluster.test_traffic import without_namespace
from tests.cluster.tokens import signed, signing_key, unsigned
from tests.peers.manifests import connector

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(240)]

NEW = 35
"""New callers, of whom two got through before."""
ANOTHER = "127.0.0.99"
"""An address that no flood comes from."""
INSISTENT = "127.0.0.98"
"""One that uses up what one address may fail."""
OPENING = 1100
"""Answers to the flood before the new callers come: more than all addresses together may fail at once."""
GOING_ON = 200
"""The same of a flood that comes behind such a one."""
IN_TIME = 20.0
"""Seconds in which all new callers are let in, on a machine that the flood keeps busy."""


class Scene:
    """A Connector, a proxy that asks about callers, and accounts that may use the Connector."""

    def __init__(self, cluster: Cluster, place: Place, accounts: Sequence[str]) -> None:
        self.place = place
        self._accounts = accounts
        self._key = signing_key(cluster.server)
        self._made = 0

    def valid(self, number: int) -> str:
        """A valid token of that account's, which the proxy has never seen."""
        self._made += 1
        return signed(self._accounts[number], self._key, n=self._made)

    def odd(self) -> str:
        """One that is none of the cluster's."""
        return f"e30.e30.{secrets.token_urlsafe(32)}"

    def look_right(self) -> str:
        """One with the right issuer, key, audience and end, and a wrong signature."""
        self._made += 1
        head = self._accounts[0].partition(".")[0]
        payload = unsigned(self._accounts[0], n=self._made).split(".")[1]
        return f"{head}.{payload}.{urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b'=').decode()}"

    def expired(self) -> str:
        """One that has ended an hour ago."""
        began = int(time.time()) - 7200
        self._made += 1
        return unsigned(self._accounts[0], iat=began, nbf=began, exp=began + 3600, n=self._made)

    async def new_callers(self, address: str) -> Counter[int]:
        """What NEW new callers get, who come at once from one address."""
        async with asyncio.timeout(IN_TIME):
            asked = [ask(self.place, address, self.valid(number)) for number in range(NEW)]
            return Counter(status for status, _ in await asyncio.gather(*asked))


@pytest.fixture
async def scene(cluster: Cluster, start: Start, echo: Echo) -> Scene:
    server, namespace = cluster.server, cluster.namespace
    await cluster.apply(without_namespace(connector("tool", echo.address)))
    everybody = group(f"system:serviceaccounts:{namespace}")
    await asyncio.to_thread(grants.grant, server, namespace, "callers", everybody, GET)
    accounts = [
        await asyncio.to_thread(server.service_account_token, namespace, f"caller-{number}") for number in range(NEW)
    ]
    proxy = await start("proxy", "--access-log", "off")
    return Scene(cluster, Place(proxy.url, f"c-tool.{namespace}.svc"), accounts)


async def test_t33_no_flood_of_tokens_keeps_new_callers_out(scene: Scene) -> None:
    async def beside(tokens: Callable[[], str], opening: int, of_new: Sequence[str], *addresses: str) -> set[int]:
        async with flood(scene.place, tokens, addresses) as answers:
            await answers.at_least(opening)
            for address in of_new:
                assert await scene.new_callers(address) == {200: NEW}, (tokens.__name__, address)
            return set(answers.statuses)

    async with flood(scene.place, scene.odd, (INSISTENT,)) as answers:
        await answers.until(429)
        assert await scene.new_callers(INSISTENT) == {200: NEW}, "their tokens are signed by the API server"
    status, head = await ask(scene.place, INSISTENT, scene.odd())
    assert status == 429
    assert 1 <= int(head.partition(b"Retry-After: ")[2].partition(b"\r\n")[0]) <= 11
    assert await beside(scene.odd, OPENING, (ANOTHER, ADDRESSES[0]), *ADDRESSES) <= {401, 429}
    assert await beside(scene.look_right, GOING_ON, (ANOTHER,), *ADDRESSES) <= {401, 429}
    assert await beside(scene.expired, GOING_ON, (ANOTHER, ADDRESSES[0]), *ADDRESSES) == {401}
    assert await beside(lambda: scene.valid(0), GOING_ON, (ANOTHER,), ADDRESSES[0]) == {200}


async def test_each_worker_reads_the_keys_of_the_api_server(start: Start) -> None:
    proxy = await start("proxy", "--workers", "2")
    read = 'connectors_proxy_kube_requests_total{code="200",resource="/openid/v1/jwks",verb="get"}'
    async with asyncio.timeout(20):
        while await metric(proxy, read) != 2:  # noqa: ASYNC110 - it is in another process
            await asyncio.sleep(0.1)
