"""An API server with deploy/ applied, and what tests ask and change there."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from standalone.demo import CHECKOUT
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess
from tests.peers.crds import install_crds
from tests.peers.kubectl import Kubectl
from tests.peers.manifests import Manifest

SYSTEM = "connectors-system"
GROUP = "/apis/connectors.alauda.io/v1alpha1"
IN_EFFECT = 2.0
"""Seconds in which a change is in effect, as the issue and the contract say."""
POLL = 0.02

CONFIGURATION_PATH = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/connectors-validation"
ACCOUNTS = {"proxy": "connectors-proxy", "controller": "connectors-controller-manager"}


def install(server: ApiServer, kubectl: Kubectl) -> None:
    """What docs/cluster.md tells a user to do.

    The classes lose their probes again, what these declare stays: the requirement's own Connectors point at tools out
    in the world, which must not decide how a test ends. test_probes.py has classes that probe.

    The webhook configuration is taken away again: nothing here makes Services reach anybody, so the API server would
    ask a webhook that is not there, and refuse every Connector. Tests of admission put it back (conftest.py).
    """
    kubectl.run("apply", "-k", str(CHECKOUT / "deploy" / "crds"))
    install_crds(server)  # waits until they are served
    kubectl.run("apply", "-k", str(CHECKOUT / "deploy"))
    server.must("DELETE", CONFIGURATION_PATH)
    for item in server.must("GET", f"{GROUP}/connectorclasses")["items"]:
        checks = [{key: value for key, value in check.items() if key != "probe"} for check in _checks(item)]
        body = {"spec": {"livenessProbe": None, "authProbes": checks or None}}
        server.must("PATCH", f"{GROUP}/connectorclasses/{item['metadata']['name']}", body)


def _checks(item: dict[str, Any]) -> list[dict[str, Any]]:
    return list(item["spec"].get("authProbes", ()))


def account_kubeconfig(server: ApiServer, name: str, folder: Path) -> Path:
    """A kubeconfig with a token of the ServiceAccount that deploy/ runs the process as: its RBAC is what counts."""
    token = server.service_account_token(SYSTEM, ACCOUNTS[name])
    return server.write_kubeconfig(folder / f"{name}.kubeconfig", token)


@dataclass(frozen=True, slots=True)
class Cluster:
    """One namespace of an API server with deploy/ in it."""

    server: ApiServer
    kubectl: Kubectl
    namespace: str

    async def apply(self, *manifests: Manifest) -> None:
        """kubectl apply, in this namespace."""
        text = yaml.safe_dump_all(manifests)
        await asyncio.to_thread(self.kubectl.run, "apply", "-n", self.namespace, "-f", "-", stdin=text)

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request as the admin, which must succeed."""
        return await asyncio.to_thread(self.server.must, method, path, body)

    def path(self, plural: str, name: str = "") -> str:
        """The path of Connectors, or core objects, of this namespace."""
        base = GROUP if plural == "connectors" else "/api/v1"
        return f"{base}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def get(self, plural: str, name: str) -> dict[str, Any] | None:
        """The object, None where there is none."""
        answer = await asyncio.to_thread(self.server.ask, "GET", self.path(plural, name))
        return answer.body if answer.status == 200 else None

    async def until(
        self, plural: str, name: str, true: Callable[[dict[str, Any] | None], bool], seconds: float = 10.0
    ) -> float:
        """Poll until what is stored is as wanted. Returns the seconds that took."""
        began = time.monotonic()
        found: dict[str, Any] | None = None
        while time.monotonic() - began < seconds:
            found = await self.get(plural, name)
            if true(found):
                return time.monotonic() - began
            await asyncio.sleep(POLL)
        raise AssertionError(f"{plural} {name} did not become as wanted within {seconds} s: {json.dumps(found)}")

    async def until_ready(self, name: str, status: str = "True", seconds: float = 10.0) -> dict[str, Any]:
        """The Connector, once its condition Ready has that status."""
        await self.until("connectors", name, lambda found: condition(found, "Ready").get("status") == status, seconds)
        found = await self.get("connectors", name)
        assert found is not None
        return found


async def metric(process: ClusterProcess, line: str) -> float:
    """The value of one line of /metrics; 0 if it has no such line."""
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        found = [text for text in (await answer.text()).splitlines() if text.startswith(line + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


def condition(found: dict[str, Any] | None, kind: str) -> dict[str, Any]:
    """A condition of an object; empty where it has none of that type."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return next((item for item in conditions if item["type"] == kind), {})


def summary(found: dict[str, Any] | None) -> dict[str, tuple[str, str]]:
    """Type -> (status, reason) of all conditions, in their order."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return {item["type"]: (item["status"], item.get("reason", "")) for item in conditions}
