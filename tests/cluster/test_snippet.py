"""From the snippet's Pod part to the audit log: a Pod with that volume, the token that it gets, and a request."""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import yaml

from proxy.audit.audit_log import AuditRecord, UsedSecret
from standalone.child import Child
from tests.cluster.conftest import Echo, Start
from tests.cluster.grants import GET, account, grant
from tests.cluster.installed import Cluster
from tests.cluster.test_get import connectors_get
from tests.cluster.test_traffic import without_namespace
from tests.peers.manifests import auth, basic_auth, connector

pytestmark = pytest.mark.apiserver


async def test_a_pod_made_of_the_snippet_is_let_in_and_named_in_the_audit_log(
    cluster: Cluster, start: Start, echo: Echo, exits: AsyncExitStack, tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    proxy = await start("proxy", "--audit-log", str(log), "--require-audience")
    await start("controller")
    tool = connector("tool", echo.address, "git", auth=auth("basicAuth", "login"))
    await cluster.apply(without_namespace(tool), without_namespace(basic_auth("login", "robot", "canary-one")))
    found = await cluster.until_ready("tool")
    token, uid = await pod_token(cluster, yaml.safe_load(await pod_part(cluster, exits))["spec"])

    host = f"c-tool.{cluster.namespace}.svc.cluster.local"
    headers = {"Host": host, "Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.url}/x?q=canary", headers=headers) as got:
        assert (got.status, got.headers.get("X-Request-Id")) == (200, None)
    assert await proxy.child.stop() == 0

    (record,) = (msgspec.json.decode(line, type=AuditRecord) for line in log.read_bytes().splitlines())
    assert record.caller is not None
    assert (record.caller.user, record.caller.uid) == (f"system:serviceaccount:{cluster.namespace}:builder", uid)
    assert f"system:serviceaccounts:{cluster.namespace}" in record.caller.groups
    assert record.caller.pod == "build"
    assert record.connector_uid == found["metadata"]["uid"]
    secret = await cluster.get("secrets", "login")
    assert secret is not None
    assert record.secret == UsedSecret("login", secret["metadata"]["resourceVersion"])
    assert b"canary" not in log.read_bytes()
    assert base64.b64encode(b"robot:canary-one") not in log.read_bytes()
    assert token.encode() not in log.read_bytes()


async def pod_part(cluster: Cluster, exits: AsyncExitStack) -> str:
    """The Pod part of what `connectors get -o snippet` prints through `kubectl proxy`."""
    command = [cluster.kubectl.path, "proxy", "--port=0", "--kubeconfig", str(cluster.server.kubeconfig)]
    env = {"PATH": os.defpath, "HOME": str(cluster.kubectl.folder)}
    kubectl_proxy = await Child.start("kubectl proxy", command, env=env)
    exits.push_async_callback(kubectl_proxy.stop)
    server = "http://" + (await kubectl_proxy.line(r"serve on (\S+)"))[1]
    printed = await connectors_get(server, "tool", "-n", cluster.namespace, "-o", "snippet")
    assert f"git clone http://c-tool.{cluster.namespace}.svc.cluster.local/REPOSITORY.git" in printed
    return printed.partition("# ---- Pod")[2].partition("\n")[2]


async def pod_token(cluster: Cluster, spec: dict[str, Any]) -> tuple[str, str]:
    """Create ServiceAccount and Pod, and ask for the token as the kubelet does; the token, and the account's uid."""
    builder = account(cluster.namespace, "builder")
    await asyncio.to_thread(grant, cluster.server, cluster.namespace, "builder", builder, GET)
    service_accounts = f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts"
    metadata = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "builder"}}
    made = await cluster.ask("POST", service_accounts, metadata)
    spec["containers"][0]["image"] = "example.com/build:1"
    spec |= {"serviceAccountName": "builder", "automountServiceAccountToken": False}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "build"}, "spec": spec}
    pod = await cluster.ask("POST", cluster.path("pods"), manifest)
    (volume,) = pod["spec"]["volumes"]
    wanted = volume["projected"]["sources"][0]["serviceAccountToken"]
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [wanted["audience"]],
            "expirationSeconds": wanted["expirationSeconds"],
            "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "build", "uid": pod["metadata"]["uid"]},
        },
    }
    token = (await cluster.ask("POST", f"{service_accounts}/builder/token", body))["status"]["token"]
    return token, made["metadata"]["uid"]
