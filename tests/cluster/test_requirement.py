"""Every manifest of the requirement, applied as it stands, and the status that its tables promise."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from standalone.demo import CHECKOUT
from tests.cluster.conftest import Running
from tests.cluster.installed import IN_EFFECT, POLL, SYSTEM, Cluster, account_kubeconfig, condition, summary
from tests.peers.api_server import ADMIN_TOKEN, ApiServerError
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy

pytestmark = [pytest.mark.apiserver, pytest.mark.asyncio(loop_scope="module")]

MANIFESTS = CHECKOUT / "tests" / "deploy" / "manifests"
ORDER = [
    "ConnectorClassReady",
    "SecretReady",
    "LivenessReady",
    "AuthReady",
    "ProxyServiceReady",
    "Ready",
]
PLAIN = ("True", "")
ANONYMOUS = {
    "ConnectorClassReady": PLAIN,
    "SecretReady": ("True", "SecretOptional"),
    "LivenessReady": ("True", "NonLivenessProbe"),
    "AuthReady": ("True", "NonAuthProbe"),
    "ProxyServiceReady": PLAIN,
    "Ready": PLAIN,
}
WITH_SECRET = ANONYMOUS | {"SecretReady": PLAIN}
NO_SECRET = ANONYMOUS | {
    "SecretReady": ("False", "SecretNotFound"),
    "Ready": ("False", "SecretNotFound"),
}
NO_PROXY = ANONYMOUS | {"ProxyServiceReady": ("True", "NonProxy")}


def without_class(reason: str) -> dict[str, tuple[str, str]]:
    """Nothing that needs the class can be judged."""
    unknown = dict.fromkeys(ORDER[1:-1], ("Unknown", reason))
    return {"ConnectorClassReady": ("False", reason), **unknown, "Ready": ("False", reason)}


@pytest.fixture
def running(cluster: Cluster, both: tuple[ClusterProcess, ClusterProcess]) -> Running:
    """A fresh namespace; the processes are those of the whole file."""
    return Running(cluster, *both)


CASES = [
    ("00-overview", "git-github", NO_SECRET, "http://c-git-github.default.svc.cluster.local"),
    ("01-address-root", "git-github", ANONYMOUS, "http://c-git-github.default.svc.cluster.local"),
    ("02-address-prefix", "git-gitlab", ANONYMOUS, "http://c-git-gitlab.default.svc.cluster.local"),
    ("03-address-extensions", "github-demo", ANONYMOUS, "http://c-github-demo.default.svc.cluster.local"),
    ("04-parameters", "git-gitlab", NO_PROXY, ""),
    ("05-basic-auth", "git-github", WITH_SECRET, "http://c-git-github.default.svc.cluster.local"),
    ("06-optional-auth", "git-public", ANONYMOUS, "http://c-git-public.default.svc.cluster.local"),
    ("07-auth-check", "git-github", WITH_SECRET, "http://c-git-github.default.svc.cluster.local"),
    ("08-ca-reference", "my-namespace/internal-tool", without_class("ConnectorClassNotFound"), ""),
    # It names no class, and what stands under status is not taken from a manifest.
    ("10-proxy-host", "harbor", without_class("ConnectorInvalid"), ""),
    ("11-proxy-path", "harbor", without_class("ConnectorInvalid"), ""),
    ("13-example-basic-auth", "git-github", WITH_SECRET, "http://c-git-github.default.svc.cluster.local"),
    ("14-example-without-auth", "git-public", ANONYMOUS, "http://c-git-public.default.svc.cluster.local"),
]


def in_namespace(cluster: Cluster, name: str) -> tuple[Cluster, str]:
    """`NAMESPACE/NAME`, or a name of the namespace default."""
    namespace, _, rest = name.rpartition("/")
    return replace(cluster, namespace=namespace or "default"), rest


async def apply(cluster: Cluster, path: Path) -> None:
    await asyncio.to_thread(cluster.kubectl.run, "apply", "-f", str(path))


async def test_every_block(running: Running) -> None:
    with suppress(ApiServerError):  # another test may have made it
        await asyncio.to_thread(running.cluster.server.create_namespace, "my-namespace")
    for file, place, expected, url in CASES:
        cluster, name = in_namespace(running.cluster, place)
        await apply(cluster, MANIFESTS / f"requirement-{file}.yaml")
        generation = (await cluster.get("connectors", name) or {})["metadata"]["generation"]

        def as_expected(found: dict[str, Any] | None, expected: Any = expected, generation: int = generation) -> bool:
            status = (found or {}).get("status") or {}
            return (summary(found), status.get("observedGeneration")) == (expected, generation)

        await cluster.until("connectors", name, as_expected)
        found = await cluster.get("connectors", name)
        assert found is not None
        status = found["status"]
        assert [item["type"] for item in status["conditions"]] == ORDER, file
        assert status.get("proxy", {}).get("httpAddress", {}).get("url", "") == url, file
        assert status["api"]["path"] == f"/connectors/v1alpha1/{cluster.namespace}/{name}/path", file
        assert ("proxy" in status) == bool(url), file
        service = await cluster.get("services", f"c-{name}")
        assert (service is not None) == bool(url), file
        if service:
            assert service["spec"]["externalName"] == f"connectors-proxy-service.{SYSTEM}.svc.cluster.local"
            assert [port["port"] for port in service["spec"]["ports"]] == [80]
            (owner,) = service["metadata"]["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["uid"]) == ("Connector", name, found["metadata"]["uid"])
            label = service["metadata"]["labels"]["connectors.alauda.io/connectorclass"]
            assert label == found["spec"]["connectorClassName"]


@pytest.mark.parametrize("file", ["10-proxy-host", "11-proxy-path"])
async def test_the_addresses_that_the_requirement_shows(running: Running, file: str) -> None:
    """With a class, its status is what the requirement's example says, letter for letter."""
    cluster = replace(running.cluster, namespace="default")
    path = MANIFESTS / f"requirement-{file}.yaml"
    shown = yaml.safe_load(path.read_text(encoding="utf-8"))["status"]["proxy"]
    resolver = file.rpartition("-")[2]
    annotations = {"connectors.cpaas.io/proxy-resolver": resolver}
    made = {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": "ConnectorClass",
        "metadata": {"name": f"harbor-{resolver}", "annotations": annotations},
        "spec": {"proxy": {"ref": {"kind": "Service", "name": "connectors-proxy-service", "namespace": SYSTEM}}},
    }
    await cluster.apply(made)
    await apply(cluster, path)
    body = {"spec": {"connectorClassName": f"harbor-{resolver}"}}
    await cluster.ask("PATCH", cluster.path("connectors", "harbor"), body)
    await cluster.until("connectors", "harbor", lambda found: (found or {}).get("status", {}).get("proxy") == shown)
    await cluster.until_ready("harbor")


async def test_conditions_move_and_remember_since_when(running: Running) -> None:
    cluster = running.cluster
    tool = {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": "tool"},
        "spec": {
            "connectorClassName": "git",
            "address": "https://git.example",
            "auth": {"name": "basicAuth", "secretRef": {"name": "login"}},
        },
    }
    await cluster.apply(tool)
    missing = await cluster.until_ready("tool", "False")
    assert condition(missing, "SecretReady")["message"] == 'secrets "login" not found; create it in namespace ' + (
        cluster.namespace
    )
    wrong = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "type": "Opaque", "data": {"a": ""}}
    await cluster.ask("POST", cluster.path("secrets"), wrong)
    await cluster.until("connectors", "tool", lambda found: has(found, "SecretReady", "False", "SecretTypeMismatch"))
    since = condition(await cluster.get("connectors", "tool"), "SecretReady")["lastTransitionTime"]
    assert since == condition(missing, "SecretReady")["lastTransitionTime"]  # False is what it was
    await cluster.ask("DELETE", cluster.path("secrets", "login"))
    right = wrong | {"type": "kubernetes.io/basic-auth", "data": {"username": "dQ==", "password": "cA=="}}
    await cluster.ask("POST", cluster.path("secrets"), right)
    await cluster.until_ready("tool")
    # The Event follows the status that it tells of.
    wanted, end = {("Warning", "SecretNotFound"), ("Normal", "Ready")}, time.monotonic() + IN_EFFECT
    while not wanted <= (told := await events(cluster, "tool")):
        assert time.monotonic() < end, told
        await asyncio.sleep(POLL)


async def events(cluster: Cluster, name: str) -> set[tuple[str, str]]:
    """Types and reasons of the Events about an object."""
    found = await cluster.ask("GET", cluster.path("events"))
    return {(item["type"], item["reason"]) for item in found["items"] if item["involvedObject"]["name"] == name}


def has(found: dict[str, Any] | None, kind: str, status: str, reason: str) -> bool:
    return summary(found).get(kind) == (status, reason)


async def test_the_proxys_service_must_exist(running: Running) -> None:
    cluster = running.cluster
    name = f"else-{cluster.namespace}"
    spec = {"proxy": {"ref": {"kind": "Service", "name": name, "namespace": SYSTEM}}}
    made = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "ConnectorClass", "metadata": {"name": name}}
    tool = {"apiVersion": made["apiVersion"], "kind": "Connector", "metadata": {"name": "tool"}}
    await cluster.apply(
        {**made, "spec": spec}, {**tool, "spec": {"connectorClassName": name, "address": "https://a.example"}}
    )
    found = await cluster.until_ready("tool", "False")
    ready = condition(found, "ProxyServiceReady")
    message = f"Service {name} not found in namespace {SYSTEM}"
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "ProxyServiceNotFound", message)
    service = {"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}
    await cluster.ask("POST", f"/api/v1/namespaces/{SYSTEM}/services", service)
    await cluster.until_ready("tool")


async def test_t26_a_service_of_somebody_else_is_never_touched(running: Running) -> None:
    cluster = running.cluster
    foreign = {"metadata": {"name": "c-tool", "labels": {"mine": "yes"}}, "spec": {"ports": [{"port": 8080}]}}
    before = await cluster.ask("POST", cluster.path("services"), foreign)
    tool = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector", "metadata": {"name": "tool"}}
    await cluster.apply({**tool, "spec": {"connectorClassName": "git", "address": "https://a.example"}})
    found = await cluster.until_ready("tool", "False")
    assert condition(found, "ProxyServiceReady")["reason"] == "ProxyServiceConflict"
    after = await cluster.get("services", "c-tool")
    assert after == before
    await cluster.ask("DELETE", cluster.path("services", "c-tool"))
    await cluster.until_ready("tool")
    service = await cluster.get("services", "c-tool")
    assert service is not None
    assert service["spec"]["type"] == "ExternalName"


async def test_drift_is_repaired_and_a_class_that_loses_its_proxy_takes_the_service_with_it(running: Running) -> None:
    cluster = running.cluster
    name = f"fickle-{cluster.namespace}"
    made = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "ConnectorClass", "metadata": {"name": name}}
    tool = {"apiVersion": made["apiVersion"], "kind": "Connector", "metadata": {"name": "tool"}}
    spec = {"connectorClassName": name, "address": "https://a.example"}
    await cluster.apply({**made, "spec": {"proxy": {}}}, {**tool, "spec": spec})
    await cluster.until_ready("tool")
    good = (await cluster.get("services", "c-tool") or {})["spec"]
    drift = {"spec": {"type": "ClusterIP", "externalName": None, "ports": [{"name": "http", "port": 81}]}}
    await cluster.ask("PATCH", cluster.path("services", "c-tool"), drift)

    def repaired(found: dict[str, Any] | None) -> bool:
        now = (found or {}).get("spec", {})
        keys = ("type", "externalName", "ports")
        return [now.get(key) for key in keys] == [good.get(key) for key in keys] and "clusterIP" not in now

    await cluster.until("services", "c-tool", repaired)
    await cluster.ask("PATCH", cluster.path("services", "c-tool"), {"metadata": {"labels": None}})
    wanted = {"connectors.alauda.io/connectorclass": name}
    await cluster.until(
        "services", "c-tool", lambda found: wanted.items() <= ((found or {})["metadata"].get("labels") or {}).items()
    )
    await cluster.ask(
        "PATCH", f"/apis/connectors.alauda.io/v1alpha1/connectorclasses/{name}", {"spec": {"proxy": None}}
    )
    await cluster.until("services", "c-tool", lambda found: found is None)
    await cluster.until("connectors", "tool", lambda found: has(found, "ProxyServiceReady", "True", "NonProxy"))
    assert "proxy" not in (await cluster.get("connectors", "tool") or {})["status"]


async def test_created_anew_under_the_same_name(running: Running) -> None:
    """Nobody collects garbage here, so the former life's Service is in the way, as it is for a moment in a cluster."""
    cluster = running.cluster
    tool = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector", "metadata": {"name": "tool"}}
    tool = {**tool, "spec": {"connectorClassName": "git", "address": "https://a.example"}}
    await cluster.apply(tool)
    first = await cluster.until_ready("tool")
    await cluster.ask("DELETE", cluster.path("connectors", "tool"))
    await cluster.apply(tool)
    second = await cluster.until_ready("tool")
    assert first["metadata"]["uid"] != second["metadata"]["uid"]

    def owned(found: dict[str, Any] | None) -> bool:
        owners = (found or {}).get("metadata", {}).get("ownerReferences", [])
        return [owner["uid"] for owner in owners] == [second["metadata"]["uid"]]

    await cluster.until("services", "c-tool", owned)


async def test_a_value_nested_beyond_measure_harms_nobody(running: Running, tmp_path: Path) -> None:
    """The API server takes about 10,000 levels of anybody, ten times what Python's recursion bears."""
    cluster = running.cluster
    tool = {"apiVersion": "connectors.alauda.io/v1alpha1", "kind": "Connector", "metadata": {"name": "deep"}}
    spec = {"connectorClassName": "git", "address": "https://a.example", "params": [{"name": "a", "value": "DEEP"}]}
    body = json.dumps({**tool, "spec": spec}).replace('"DEEP"', "[" * 9900 + "]" * 9900)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(ssl=cluster.server.context)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        async with session.post(cluster.server.url + cluster.path("connectors"), data=body) as answer:
            assert answer.status == 201
        path = cluster.server.url + cluster.path("connectors", "deep")
        async with asyncio.timeout(10):
            while b"ConnectorInvalid" not in await _text(session, path):  # noqa: ASYNC110 - nobody but the server tells
                await asyncio.sleep(0.05)
    shallow = {**tool, "metadata": {"name": "tool"}, "spec": spec | {"params": []}}
    await cluster.apply(shallow)
    await cluster.until_ready("tool")
    kubeconfig = account_kubeconfig(cluster.server, "proxy", tmp_path)
    second = await start_cluster_proxy(kubeconfig, "--client-auth", "none")  # it reads the whole list
    await second.child.stop()
    assert (running.proxy.child.exit_code, running.controller.child.exit_code) == (None, None)
    await asyncio.to_thread(cluster.kubectl.run, "delete", "connector", "deep", "-n", cluster.namespace)


async def _text(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as answer:
        return await answer.read()
