"""Traffic through `python -m proxy`, and how soon a change of the objects is in effect in it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable

import aiohttp
import pytest
from yarl import URL

from tests.cluster.conftest import Echo, Running, Start
from tests.cluster.grants import GET, account, grant
from tests.cluster.installed import IN_EFFECT, Cluster
from tests.peers.manifests import auth, basic_auth, bearer_token, connector, connector_class

pytestmark = pytest.mark.apiserver


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"robot:{password}".encode()).decode()


async def ask(running: Running, path: str = "/x", *, name: str = "tool") -> tuple[int, str]:
    """One request as a workload of the cluster sends it; DNS is the only thing that lacks here."""
    host = f"c-{name}.{running.cluster.namespace}.svc.cluster.local"
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(running.proxy.url + path, encoded=True), headers={"Host": host}) as got,
    ):
        return got.status, await got.text()


async def takes_effect(running: Running, true: Callable[[tuple[int, str]], bool], path: str = "/x") -> None:
    """Ask again and again until the answer is as wanted, for IN_EFFECT seconds at most."""
    end = time.monotonic() + IN_EFFECT
    while not true(got := await ask(running, path)):
        assert time.monotonic() < end, f"not in effect after {IN_EFFECT} s: {got}"
        await asyncio.sleep(0.02)


async def test_the_credential_reaches_the_tool_and_changes_are_in_effect_within_2_seconds(
    running: Running, echo: Echo
) -> None:
    cluster = running.cluster
    tool = connector("tool", echo.address, "git", auth=auth("basicAuth", "login"))
    await cluster.apply(tool | {"metadata": {"name": "tool"}}, without_namespace(basic_auth("login", "robot", "one")))
    await cluster.until_ready("tool")
    await takes_effect(running, lambda got: got == (200, f"/x {basic('one')}"))
    assert await ask(running, "/a%2Fb//c?d=%2F") == (200, f"/a%2Fb//c?d=%2F {basic('one')}")

    secret = {"stringData": {"password": "two"}}
    await cluster.ask("PATCH", cluster.path("secrets", "login"), secret)
    await takes_effect(running, lambda got: got == (200, f"/x {basic('two')}"))

    await cluster.ask("PATCH", cluster.path("connectors", "tool"), {"spec": {"address": echo.address + "/moved"}})
    await takes_effect(running, lambda got: got == (200, f"/moved/x {basic('two')}"))

    await cluster.ask("DELETE", cluster.path("secrets", "login"))
    await takes_effect(running, lambda got: got[0] == 503)

    await cluster.ask("DELETE", cluster.path("connectors", "tool"))
    await takes_effect(running, lambda got: got[0] == 404)


def without_namespace(manifest: dict[str, object]) -> dict[str, object]:
    """For kubectl apply -n, which takes no other namespace than the manifest's own."""
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    metadata.pop("namespace", None)
    return manifest


async def test_the_path_resolver(running: Running, echo: Echo) -> None:
    cluster = running.cluster
    by_path = connector_class(f"by-path-{cluster.namespace}", [{"name": "token", "secretType": TOKEN}])
    by_path["metadata"]["annotations"] = {"connectors.cpaas.io/proxy-resolver": "path"}
    tool = connector("tool", echo.address, by_path["metadata"]["name"], auth=auth("token", "login"))
    await cluster.apply(by_path, without_namespace(tool), without_namespace(bearer_token("login", "abc")))
    found = await cluster.until_ready("tool")
    url = found["status"]["proxy"]["httpAddress"]["url"]
    prefix = f"/namespaces/{cluster.namespace}/connectors/tool"
    assert url == f"http://c-tool.{cluster.namespace}.svc.cluster.local{prefix}"
    await takes_effect(running, lambda got: got == (200, "/x Bearer abc"), prefix + "/x")


TOKEN = "connectors.cpaas.io/bearer-token"


async def test_t08_callers_prove_who_they_are_with_real_tokens(cluster: Cluster, start: Start, echo: Echo) -> None:
    """The default. tests/cluster/test_callers.py has the whole table."""
    await cluster.apply(without_namespace(connector("tool", echo.address, "generic")))
    proxy = await start("proxy")
    builders = account(cluster.namespace, "builder")
    await asyncio.to_thread(grant, cluster.server, cluster.namespace, "builder", builders, GET)
    own = await asyncio.to_thread(cluster.server.service_account_token, cluster.namespace, "builder")
    foreign = await asyncio.to_thread(cluster.server.service_account_token, "default", "builder")
    elsewhere = await asyncio.to_thread(
        cluster.server.service_account_token, cluster.namespace, "builder", ["somebody-else"]
    )
    cases = [
        ({"Authorization": f"Bearer {own}"}, 200, None),
        ({"Authorization": "Basic " + base64.b64encode(f":{own}".encode()).decode()}, 200, None),
        ({}, 401, "Unauthenticated"),
        ({"Authorization": "Bearer made-up"}, 401, "Unauthenticated"),
        ({"Authorization": f"Bearer {elsewhere}"}, 401, "Unauthenticated"),
        ({"Authorization": f"Bearer {foreign}"}, 403, "Forbidden"),
    ]
    host = {"Host": f"c-tool.{cluster.namespace}.svc"}
    async with aiohttp.ClientSession() as session:
        for headers, status, reason in cases:
            async with session.get(proxy.url + "/x", headers=host | headers) as got:
                assert (got.status, got.headers.get("X-Connectors-Reason")) == (status, reason)
                body = await got.text()
                assert status != 200 or body == "/x -"
    assert own not in proxy.child.log
