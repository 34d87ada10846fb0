"""CAs on a real API server: each change is in effect within 2 s, in traffic, probes, conditions and Events."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme

from tests.cluster.conftest import Running
from tests.cluster.installed import IN_EFFECT, POLL, SYSTEM, Cluster, condition
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.manifests import connector, connector_class
from tests.peers.raw_upstream import RawUpstream, answering
from tests.peers.trust import pem

pytestmark = [pytest.mark.apiserver, pytest.mark.asyncio(loop_scope="module")]

CONFIG = f"/api/v1/namespaces/{SYSTEM}/configmaps/connectors-config"
SECRETS = f"/api/v1/namespaces/{SYSTEM}/secrets"
LABEL = "connectors.cpaas.io/ca-cert"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
JUNK = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
WELL, UNTRUSTED = (200, ""), (502, "UpstreamTLS")


@dataclass(frozen=True, slots=True)
class Scene:
    """Connector `plain`, and `own` with caCertSecretRef `ca`, to tools of two authorities.

    `shared` is the name of the Secret for all.
    """

    running: Running
    shared: str

    @property
    def cluster(self) -> Cluster:
        return self.running.cluster

    async def flag(self, on: bool) -> None:
        await self.cluster.ask("PATCH", CONFIG, {"data": {"enable-custom-ca-certs": str(on).lower()}})

    async def put(self, name: str, content: str, namespace: str = "", label: str | None = None) -> None:
        """A Secret with CAs, made or changed."""
        base = f"/api/v1/namespaces/{namespace or self.cluster.namespace}/secrets"
        metadata = {"name": name, "labels": {LABEL: label}}
        body = {"metadata": metadata, "stringData": {"ca.crt": content}}
        answer = await asyncio.to_thread(self.cluster.server.ask, "PATCH", f"{base}/{name}", body)
        if answer.status == 404:
            await self.cluster.ask("POST", base, {"apiVersion": "v1", "kind": "Secret", **body})

    async def get(self, name: str) -> tuple[int, str]:
        host = f"c-{name}.{self.cluster.namespace}.svc.cluster.local"
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.running.proxy.url, headers={"Host": host}) as got,
        ):
            return got.status, got.headers.get("X-Connectors-Reason", "")

    async def in_effect(self, name: str, wanted: tuple[int, str], ready: str | None) -> None:
        """Traffic, probe and CACertReady (its reason, None for its absence) all say so within IN_EFFECT seconds."""
        begun = time.monotonic()
        while (got := await self.get(name)) != wanted:
            assert time.monotonic() - begun < IN_EFFECT, (name, got, wanted)
            await asyncio.sleep(POLL)
        live = "True" if wanted == WELL else "False"

        def as_wanted(found: dict[str, Any] | None) -> bool:
            told = condition(found, "CACertReady")
            return condition(found, "LivenessReady").get("status") == live and told.get("reason") == ready

        await self.cluster.until("connectors", name, as_wanted, IN_EFFECT + 0.5)

    async def events(self, namespace: str, kind: str, name: str) -> list[str]:
        found = await self.cluster.ask("GET", f"/api/v1/namespaces/{namespace}/events")
        about = [item for item in found["items"] if item["involvedObject"].get("name") == name]
        return [item["reason"] for item in about if item["involvedObject"]["kind"] == kind]

    async def told(self, namespace: str, kind: str, name: str, reasons: list[str]) -> None:
        end = time.monotonic() + IN_EFFECT
        while not set(reasons) <= set(found := await self.events(namespace, kind, name)):
            assert time.monotonic() < end, found
            await asyncio.sleep(POLL)


async def metrics(process: ClusterProcess) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{process.admin}/metrics") as answer:
        return await answer.text()


@pytest_asyncio.fixture(loop_scope="module")
async def tools() -> AsyncIterator[dict[str, tuple[trustme.CA, str]]]:
    """Two tools, each with an authority of its own: authority and address by the Connector's name."""
    made = {}
    async with AsyncExitStack() as exits:
        for name in ("plain", "own"):
            authority = trustme.CA()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("localhost").configure_cert(context)
            tool = await exits.enter_async_context(RawUpstream(answering(OK), tls=context))
            made[name] = (authority, tool.address)
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def scene(
    cluster: Cluster, both: tuple[ClusterProcess, ClusterProcess], tools: dict[str, tuple[trustme.CA, str]]
) -> AsyncIterator[Scene]:
    """Probed once a minute: what is found sooner, a change of CAs has brought about. Then the flag is off again."""
    made = Scene(Running(cluster, *both), f"shared-{cluster.namespace}")
    kind = connector_class(f"tls-{cluster.namespace}", livenessProbe={"http": {"path": "/"}})
    await cluster.apply(kind)
    name, space = kind["metadata"]["name"], cluster.namespace
    await cluster.apply(
        connector("plain", tools["plain"][1], name, namespace=space),
        connector("own", tools["own"][1], name, namespace=space, caCertSecretRef={"name": "ca"}),
    )
    yield made
    await made.flag(False)
    await asyncio.to_thread(cluster.server.ask, "DELETE", f"{SECRETS}/{made.shared}")


async def test_a_connectors_own_ca_from_its_first_day_to_its_last(
    scene: Scene, tools: dict[str, tuple[trustme.CA, str]]
) -> None:
    own, _ = tools["own"]
    space = scene.cluster.namespace
    await scene.in_effect("own", UNTRUSTED, None)
    await scene.flag(True)
    await scene.in_effect("own", UNTRUSTED, "SecretNotFound")
    await scene.told(space, "Connector", "own", ["CACertSecretNotFound"])
    await scene.put("ca", JUNK)
    await scene.in_effect("own", UNTRUSTED, "InvalidPEM")
    await scene.told(space, "Connector", "own", ["CACertSecretNotFound", "InvalidCACert"])
    await scene.put("ca", pem(own))
    await scene.in_effect("own", WELL, "Valid")
    found = await scene.cluster.until_ready("own")
    told = condition(found, "CACertReady")
    assert told["message"].startswith('CA certificate loaded from secret "ca", expires ')
    assert (told["status"], told["severity"]) == ("True", "Info")
    assert [item["type"] for item in found["status"]["conditions"]][-2:] == ["CACertReady", "Ready"]
    await scene.put("ca", pem(trustme.CA()))
    await scene.in_effect("own", UNTRUSTED, "Valid")
    await scene.put("ca", pem(own))
    await scene.in_effect("own", WELL, "Valid")
    await scene.cluster.ask("DELETE", scene.cluster.path("secrets", "ca"))
    await scene.in_effect("own", UNTRUSTED, "SecretNotFound")
    await scene.put("ca", pem(own))
    await scene.in_effect("own", WELL, "Valid")
    await scene.flag(False)
    await scene.in_effect("own", UNTRUSTED, None)
    assert "Traceback" not in scene.running.controller.child.log + scene.running.proxy.child.log


async def test_a_ca_for_all_is_added_changed_relabelled_and_removed(
    scene: Scene, tools: dict[str, tuple[trustme.CA, str]]
) -> None:
    known = pem(tools["plain"][0])
    controller, proxy = scene.running.controller, scene.running.proxy
    counted = 'connectors_controller_ca_certificates{source="global",state="%s"} 1.0'
    await scene.flag(True)
    await scene.in_effect("plain", UNTRUSTED, "NoCACert")
    await scene.put(scene.shared, known, SYSTEM, "true")
    await scene.in_effect("plain", WELL, "NoCACert")
    assert counted % "valid" in await metrics(controller)
    labels = f'namespace="{SYSTEM}",secret="{scene.shared}",source="global"'
    assert f"connectors_proxy_ca_certificate_expiry_seconds{{{labels}}} " in await metrics(proxy)
    for label, wanted in (("no", UNTRUSTED), ("true", WELL)):
        await scene.put(scene.shared, known, SYSTEM, label)
        await scene.in_effect("plain", wanted, "NoCACert")
    await scene.put(scene.shared, JUNK, SYSTEM, "true")
    await scene.in_effect("plain", UNTRUSTED, "NoCACert")
    await scene.told(SYSTEM, "Secret", scene.shared, ["InvalidCACert"])
    assert counted % "invalid" in await metrics(controller)
    await scene.put(scene.shared, JUNK + known, SYSTEM, "true")
    await scene.in_effect("plain", WELL, "NoCACert")
    await scene.cluster.ask("DELETE", f"{SECRETS}/{scene.shared}")
    await scene.in_effect("plain", UNTRUSTED, "NoCACert")


async def test_t22_a_secret_is_for_all_by_label_and_namespace_and_by_nothing_less(
    scene: Scene, tools: dict[str, tuple[trustme.CA, str]]
) -> None:
    shared, _ = tools["plain"]
    await scene.flag(True)
    await scene.in_effect("plain", UNTRUSTED, "NoCACert")
    await scene.put("mine", pem(shared), label="true")
    await scene.put(scene.shared, pem(shared), SYSTEM)
    # A change that does count is in effect, so those before it would be.
    await scene.put("ca", pem(tools["own"][0]))
    await scene.in_effect("own", WELL, "Valid")
    assert await scene.get("plain") == UNTRUSTED


async def test_events_come_on_transitions_only(scene: Scene) -> None:
    space = scene.cluster.namespace
    await scene.flag(True)
    await scene.told(space, "Connector", "own", ["CACertSecretNotFound"])
    path = scene.cluster.path("connectors", "own")
    for number in range(3):
        await scene.cluster.ask("PATCH", path, {"metadata": {"labels": {"n": str(number)}}})
        await scene.cluster.ask("PATCH", path, {"spec": {"address": f"https://localhost:{9000 + number}"}})
        await scene.cluster.until("connectors", "own", _observed)
    found = await scene.cluster.ask("GET", f"/api/v1/namespaces/{space}/events")
    counts = [item["count"] for item in found["items"] if item["reason"] == "CACertSecretNotFound"]
    assert counts == [1]


def _observed(found: dict[str, Any] | None) -> bool:
    status = (found or {}).get("status", {})
    return found is not None and status.get("observedGeneration") == found["metadata"]["generation"]


async def test_the_api_server_itself_is_a_tool(scene: Scene) -> None:
    """Its certificate is of the cluster's own CA, which no Secret holds: both processes have it to ask the server."""
    cluster = scene.cluster
    kind = connector_class(f"api-{cluster.namespace}", livenessProbe={"http": {"path": "/livez"}})
    await cluster.apply(kind)
    await cluster.apply(connector("api", cluster.server.url, kind["metadata"]["name"], namespace=cluster.namespace))
    await scene.in_effect("api", UNTRUSTED, None)
    await scene.flag(True)
    # Nobody is logged in, so the server itself says no.
    await cluster.until_ready("api")
    assert await scene.get("api") == (403, "")
