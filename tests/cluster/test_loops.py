"""Replicas know each other's marks (threat 34), and their own pods by their addresses (threat 35)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from tests.cluster.conftest import Start
from tests.cluster.installed import GROUP, SYSTEM, Cluster, condition
from tests.cluster.test_traffic import without_namespace
from tests.peers.manifests import connector, connector_class
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


POD = "10.77.0.9"


@pytest.fixture
async def pod(cluster: Cluster) -> AsyncIterator[None]:
    """A pod of the proxy's, as the API server's own controller would tell of it; nothing listens there.

    As Endpoints: this API server has no discovery.k8s.io/v1.
    """
    path = f"/api/v1/namespaces/{SYSTEM}/endpoints"
    subsets = [{"addresses": [{"ip": POD}], "ports": [{"name": "http", "port": 8080}]}]
    metadata = {"name": "connectors-proxy-service", "namespace": SYSTEM}
    await cluster.ask("POST", path, {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets})
    yield
    await cluster.ask("DELETE", f"{path}/connectors-proxy-service")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_t35_no_connector_reaches_a_port_of_another_pod(
    cluster: Cluster, pod: None, start: Start, workers: str
) -> None:
    service = await cluster.ask("GET", f"/api/v1/namespaces/{SYSTEM}/services/connectors-proxy-service")
    own = {
        "admin": f"http://{POD}:8081",
        "webhook": f"https://{POD}:9443",
        "traffic": f"http://{POD}:8080",
        "service": f"http://{service['spec']['clusterIP']}",
    }
    tools = {**own, "other": f"http://{POD}:9"}
    await cluster.apply(*(without_namespace(connector(name, address)) for name, address in tools.items()))
    proxy = await start("proxy", "--client-auth", "none", "--workers", workers, "--connect-timeout", "300ms")
    async with aiohttp.ClientSession() as session:
        for name in tools:
            async with session.get(
                proxy.url + "/metrics", headers={"Host": f"c-{name}.{cluster.namespace}.svc"}
            ) as got:
                text = await got.text()
                assert (got.status == 403) is (name in own), (name, text)
                assert ("a port of the Connectors installation itself" in text) is (name in own)


async def test_t35_the_controller_probes_no_port_of_another_pod(cluster: Cluster, pod: None, start: Start) -> None:
    live = connector_class("live", [], livenessProbe={"http": {"path": "/metrics"}})
    live["metadata"]["name"] = name = f"live-{cluster.namespace}"
    await cluster.apply(live, without_namespace(connector("admin", f"http://{POD}:8081", name)))
    await start("controller")
    await cluster.until(
        "connectors", "admin", lambda found: condition(found, "LivenessReady").get("reason") == "TargetDenied"
    )
    await cluster.ask("DELETE", f"{GROUP}/connectorclasses/{name}")


async def test_t34_a_probe_that_leads_back_through_a_connector_ends_there(cluster: Cluster, start: Start) -> None:
    proxy = await start("proxy", "--client-auth", "none")
    # By the path form, as an ingress in front of all Connectors would lead there.
    path = f"/namespaces/{cluster.namespace}/connectors/tool/"
    live = connector_class("live", [], livenessProbe={"http": {"path": path}})
    live["metadata"]["name"] = name = f"live-{cluster.namespace}"
    await cluster.apply(live, without_namespace(connector("tool", proxy.url, name)))
    await start("controller", "--probe-interval", "1s")
    await cluster.until(
        "connectors",
        "tool",
        lambda found: (
            "the address leads back to this Connector" in condition(found, "LivenessReady").get("message", "")
        ),
    )
    await cluster.ask("DELETE", f"{GROUP}/connectorclasses/{name}")
