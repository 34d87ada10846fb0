"""An API server that asks a controller on this machine about Connectors and classes."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from dataclasses import dataclass, replace
from typing import Any

import yaml

from connectors.objects.secret import SecretValue
from controller.admission.certificates import Material, material_of
from controller.admission.rotation import SECRET
from tests.cluster.installed import CONFIGURATION_PATH, GROUP, POLL, SYSTEM, Cluster
from tests.peers.api_server import Answer, ApiServer
from tests.peers.kubectl import Kubectl
from tests.peers.manifests import Manifest

SECRET_PATH = f"/api/v1/namespaces/{SYSTEM}/secrets/{SECRET}"
NAMES = ("--webhook-name", "127.0.0.1,localhost")
LISTENS = r"admission webhook on https://(\S+)"
IN_FORCE = 20.0
"""Seconds in which the API server must have heard of the webhook: its own watch, and ours."""


@dataclass(frozen=True, slots=True)
class Applied:
    """How a `kubectl` command ended."""

    ok: bool
    said: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A namespace of an API server with deploy/ and its webhook configuration."""

    cluster: Cluster

    @property
    def server(self) -> ApiServer:
        return self.cluster.server

    @property
    def kubectl(self) -> Kubectl:
        return self.cluster.kubectl

    def other(self, namespace: str) -> Reviewed:
        return Reviewed(replace(self.cluster, namespace=namespace))

    async def run(self, *words: str, stdin: str = "") -> Applied:
        """One kubectl command in the namespace."""
        done = await asyncio.to_thread(self.kubectl.run, *words, "-n", self.cluster.namespace, stdin=stdin, check=False)
        return Applied(done.returncode == 0, done.stdout + done.stderr)

    async def apply(self, *manifests: Manifest, user: str = "", groups: tuple[str, ...] = ()) -> Applied:
        """kubectl apply, as another user where one is named."""
        impersonated = [f"--as={user}"] if user else []
        impersonated += [f"--as-group={group}" for group in groups]
        return await self.run("apply", *impersonated, "-f", "-", stdin=yaml.safe_dump_all(manifests))

    async def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        return await asyncio.to_thread(self.server.ask, method, path, body)

    async def configuration(self) -> dict[str, Any]:
        return (await self.ask("GET", CONFIGURATION_PATH)).body

    async def bundles(self) -> list[bytes]:
        found = (await self.configuration())["webhooks"]
        return [base64.b64decode(webhook["clientConfig"].get("caBundle", "")) for webhook in found]

    async def material(self) -> Material:
        data = (await self.ask("GET", SECRET_PATH)).body.get("data", {})
        return material_of({name: SecretValue(base64.b64decode(text)) for name, text in data.items()})

    async def empty_secret(self) -> None:
        found = (await self.ask("GET", SECRET_PATH)).body
        found.pop("data", None)
        assert (await self.ask("PUT", SECRET_PATH, found)).status == 200

    async def point_at(self, where: str) -> None:
        """Let the API server ask https://WHERE, and wait until it does; nothing makes Services work here."""
        while True:
            found = await self.configuration()
            for webhook in found["webhooks"]:
                webhook["clientConfig"].pop("service", None)
                webhook["clientConfig"]["url"] = f"https://{where}/validate"
            answer = await self.ask("PUT", CONFIGURATION_PATH, found)
            if answer.status == 200:
                break
            assert answer.status == 409, answer
        await self.until_in_force()

    async def until_in_force(self) -> None:
        """Until an invalid Connector is refused by the webhook; by then caBundle is right."""
        end, answer = time.monotonic() + IN_FORCE, None
        while time.monotonic() < end:
            answer = await self.create("probe", dry=True, connectorClassName="git", address="ftp://x")
            if answer.status == 422:
                return
            await asyncio.sleep(POLL)
        raise AssertionError(f"the webhook is not asked: {answer}")

    async def until_it_fails_closed(self) -> None:
        """Until the API server has noticed that nobody answers."""
        end, answer = time.monotonic() + IN_FORCE, None
        while time.monotonic() < end:
            answer = await self.create("probe", dry=True, connectorClassName="git", address="https://x.example")
            if answer.status == 500:
                return
            await asyncio.sleep(POLL)
        raise AssertionError(f"the webhook is still asked: {answer}")

    async def create(self, name: str, *, dry: bool = False, **spec: Any) -> Answer:
        """POST of a Connector, without kubectl."""
        body = {
            "apiVersion": "connectors.alauda.io/v1alpha1",
            "kind": "Connector",
            "metadata": {"name": name},
            "spec": spec,
        }
        path = f"{GROUP}/namespaces/{self.cluster.namespace}/connectors"
        return await self.ask("POST", path + ("?dryRun=All" if dry else ""), body)


def until_nobody_is_asked(server: ApiServer) -> None:
    """Until the API server has noticed that there is no webhook configuration."""
    body = {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": "Connector",
        "metadata": {"name": "probe"},
        "spec": {"connectorClassName": "git", "address": "ftp://x"},
    }
    path, end = f"{GROUP}/namespaces/default/connectors?dryRun=All", time.monotonic() + IN_FORCE
    while (answer := server.ask("POST", path, body)).status != 201:
        if time.monotonic() > end:
            raise AssertionError(f"the webhook is still asked: {answer}")
        time.sleep(POLL)


async def grant(reviewed: Reviewed, name: str, subject: dict[str, str], *rules: dict[str, Any]) -> None:
    """A role of the namespace with these rules, for one subject."""
    group = "rbac.authorization.k8s.io"
    full = {"apiGroup": group, **subject}
    manifests = [
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": list(rules)},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [full],
        },
    ]
    applied = await reviewed.apply(*manifests)
    assert applied.ok, applied.said


def field_paths(said: str) -> set[str]:
    """The field paths that kubectl's words name."""
    return set(re.findall(r"((?:spec|metadata)(?:\.[A-Za-z]+(?:\[[^\]]*\])?)+): ", said))


def keys_of(material: Material) -> list[str]:
    """What of the private key must be nowhere: a line of it, as PEM and as the Secret's base64."""
    key = material.leaf_key
    assert key is not None
    return [key.reveal().decode().splitlines()[1], base64.b64encode(key.reveal()).decode()[80:140]]
