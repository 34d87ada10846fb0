"""Replicas that keep one Secret, at an API server that answers as told."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from datetime import timedelta

import pytest
from aiohttp import web

from connectors.kube.client import KubeClient
from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS
from connectors.objects.secret import SecretValue
from connectors.tls.serving import Serving
from controller.admission.certificates import Lives, Material, material_of
from controller.admission.rotation import CONFIGURATION, SECRET, CertificatePolicy, Rotation
from tests.controller.admission.handshakes import pair
from tests.controller.world import SYSTEM, World
from tests.peers.api_objects import RefusedError

NAMES = frozenset({"svc.ns.svc", "127.0.0.1"})
DAY = timedelta(days=1)
LOOK = 120
"""Seconds between two looks."""
LIVES = Lives(life=90 * DAY, look=timedelta(seconds=LOOK - 1))
LEFT = LIVES.life - LIVES.left + timedelta(hours=1)
"""After that an exchange is due."""
EMPTY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": SECRET, "namespace": SYSTEM, "labels": {"a": "b"}},
    "type": "Opaque",
}
WEBHOOKS = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": CONFIGURATION},
    "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "s"}}}, {"name": "b", "clientConfig": {}}],
}


@dataclass
class Replica:
    rotation: Rotation
    serving: Serving
    task: asyncio.Task[None]
    ends: list[float]
    """When each certificate ends that it has served, one after the other."""


class Rotations:
    """Replicas that keep one Secret."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.replicas: list[Replica] = []
        self._clients: list[KubeClient] = []

    async def start(self, names: frozenset[str] = NAMES) -> Replica:
        client = self.world.client()
        await client.start()
        ends: list[float] = []
        serving = Serving(ends.append)
        rotation = Rotation(client, CertificatePolicy(SYSTEM, names, LIVES), serving, self.world.clock)
        found = Replica(rotation, serving, asyncio.create_task(rotation.run()), ends)
        self.replicas.append(found)
        self._clients.append(client)
        return found

    async def stop(self) -> None:
        for replica in self.replicas:
            replica.task.cancel()
        await asyncio.gather(*(replica.task for replica in self.replicas), return_exceptions=True)
        for client in self._clients:
            await client.close()

    @property
    def material(self) -> Material:
        stored = self.world.server.get(SECRETS, SECRET, SYSTEM)
        assert stored is not None
        return material_of({key: SecretValue(base64.b64decode(text)) for key, text in stored["data"].items()})

    def bundles(self) -> list[bytes]:
        found = self.world.server.get(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
        assert found is not None
        return [base64.b64decode(item["clientConfig"].get("caBundle", "")) for item in found["webhooks"]]

    def serves(self, replica: Replica) -> bool:
        """Whether it serves what the Secret holds."""
        return shows(replica, self.material)

    def writes(self) -> int:
        return len(self.world.writes("/secrets/"))


def shows(replica: Replica, made: Material) -> bool:
    """Whether it serves that certificate; if not, it does from now on."""
    return made.leaf_key is not None and not replica.serving.serve(pair(made))


def refuse(world: World, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may PUT what has this in its path."""
    admit = world.server._admit

    def strict(request: web.Request) -> None:
        if request.method == "PUT" and part in request.path:
            raise RefusedError(403, "Forbidden", "not by you")
        admit(request)

    monkeypatch.setattr(world.server, "_admit", strict)
