"""Without a controller to ask: what is refused, what slips in, and what becomes of that."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.cluster.admission import Reviewed
from tests.cluster.conftest import Start
from tests.cluster.installed import account_kubeconfig, condition
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy
from tests.peers.manifests import Manifest, connector, connector_class

pytestmark = [pytest.mark.apiserver, pytest.mark.timeout(120)]

EXEMPT = "kube-system"
PATCH = '{"metadata":{"labels":{"kubernetes.io/metadata.name":"kube-system"}}}'


def bare(name: str, class_name: str = "git", address: str = "https://tool.example", **spec: Any) -> Manifest:
    made = connector(name, address, class_name, **spec)
    del made["metadata"]["namespace"]
    return made


@pytest.fixture
async def proxy(reviewed: Reviewed, exits: Any, tmp_path: Any) -> ClusterProcess:
    kubeconfig = account_kubeconfig(reviewed.server, "proxy", tmp_path)
    found = await start_cluster_proxy(kubeconfig, "--client-auth", "none")
    exits.push_async_callback(found.child.stop)
    return found


async def reason(proxy: ClusterProcess, namespace: str, name: str, wanted: str) -> str:
    """What the proxy refuses requests to it with, once that is as wanted (10 s)."""
    headers, found = {"Host": f"c-{name}.{namespace}.svc"}, ""
    async with aiohttp.ClientSession() as session:
        for _ in range(500):
            async with session.get(proxy.url + "/", headers=headers) as answer:
                found = answer.headers.get("X-Connectors-Reason", "")
                text = await answer.text()
            if found == wanted:
                return text
            await asyncio.sleep(0.02)
    raise AssertionError(f"{found} instead of {wanted}")


async def test_kube_system_is_never_blocked_and_its_connectors_are_never_served(
    reviewed: Reviewed, start_reviewer: Start, proxy: ClusterProcess
) -> None:
    # Newer API servers set this label themselves; 1.20 does not.
    assert (await reviewed.run("patch", "namespace", EXEMPT, "--type=merge", "-p", PATCH)).ok
    controller = await start_reviewer()
    await controller.child.stop()
    await reviewed.until_it_fails_closed()
    exempt = reviewed.other(EXEMPT)
    applied = await exempt.apply(bare("tool"))
    assert applied.ok, applied.said
    refused = await reviewed.apply(bare("tool"))
    assert not refused.ok
    assert 'failed calling webhook "connectors.connectors.alauda.io"' in refused.said
    assert "metadata.namespace: must not be kube-system" in await reason(proxy, EXEMPT, "tool", "ConnectorInvalid")
    await start_reviewer()
    found = await exempt.cluster.until_ready("tool", "False")
    told = condition(found, "Ready")
    assert (told["reason"], told["message"].partition(",")[0]) == (
        "ConnectorInvalid",
        "metadata.namespace: must not be kube-system",
    )
    assert "httpAddress" not in (found["status"].get("proxy") or {})
    assert (await exempt.run("delete", "connector", "tool")).ok


async def test_a_class_that_slips_in_gets_its_condition_and_none_of_its_connectors_is_served(
    reviewed: Reviewed, start_reviewer: Start, proxy: ClusterProcess
) -> None:
    name = f"slipped-{reviewed.cluster.namespace}"
    controller = await start_reviewer()
    assert (await reviewed.apply(connector_class(name), bare("tool", name))).ok
    await controller.child.stop()
    await reviewed.until_it_fails_closed()
    broken = connector_class(name, [{"name": "a", "generator": {"headers": [{"name": "X", "value": "{{ nope }}"}]}}])
    applied = await reviewed.apply(broken)
    assert applied.ok, "classes fail open: " + applied.said
    assert f"ConnectorClass {name} is invalid" in await reason(
        proxy, reviewed.cluster.namespace, "tool", "ConnectorInvalid"
    )
    await start_reviewer()
    await reviewed.cluster.until_ready("tool", "False")
    path = f"/apis/connectors.alauda.io/v1alpha1/connectorclasses/{name}"
    found = (await reviewed.ask("GET", path)).body
    told = condition(found, "Ready")
    assert (told["status"], told["reason"]) == ("False", "ConnectorClassInvalid")
    assert "spec.auth.types[0].generator.headers[0].value" in told["message"]
    # Now that somebody answers, the same is refused.
    broken["spec"]["auth"]["types"][0]["generator"]["headers"][0]["value"] = "{{ neither }}"
    assert not (await reviewed.apply(broken)).ok


async def test_an_api_server_without_the_configuration_admits_everything_and_the_log_says_so(
    reviewed: Reviewed, start_reviewer: Start
) -> None:
    controller = await start_reviewer()
    before = await reviewed.configuration()
    try:
        assert (await reviewed.run("delete", "validatingwebhookconfiguration", "connectors-validation")).ok
        await controller.child.line("admission is off: there is no ValidatingWebhookConfiguration")
        async with aiohttp.ClientSession() as session, session.get(controller.admin + "/readyz") as answer:
            assert answer.status == 200
    finally:
        for name in ("resourceVersion", "uid", "generation", "creationTimestamp", "managedFields"):
            before["metadata"].pop(name, None)
        path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
        assert (await reviewed.ask("POST", path, before)).status == 201
    await reviewed.until_in_force()
