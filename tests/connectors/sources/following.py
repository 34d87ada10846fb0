"""A ClusterSource that runs, the snapshots it made, and objects for a fake API server."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from connectors.dial.egress_settings import EgressSettings
from connectors.judgement import Judgement
from connectors.kube.client import KubeClient
from connectors.kube.settings import ClusterNames
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Refusal
from connectors.process.clock import SystemClock
from connectors.snapshot import Snapshot, Wanted
from connectors.sources.cluster import ClusterSource
from connectors.sources.own_addresses import OwnAddresses
from connectors.sources.store import SnapshotStore
from connectors.sources.upstream_logins import UpstreamLogins
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector, connector_class

SYSTEM = "connectors-system"
KEY = ConnectorKey("team", "tool")
AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}
BASIC = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": True}


def a_connector(name: str = "tool", **spec: Any) -> dict[str, Any]:
    address = spec.pop("address", "https://tool.example")
    return connector(name, address, spec.pop("connectorClassName", "demo"), namespace="team", **spec)


def a_class(**spec: Any) -> dict[str, Any]:
    return connector_class("demo", **{"auth": {"types": [BASIC]}, **spec})


def a_secret(
    name: str = "login", namespace: str = "team", password: bytes = b"one", kind: str = "kubernetes.io/basic-auth"
) -> dict[str, Any]:
    values = {"username": b"u", "password": password, "token": password}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }


def flags(**data: str) -> dict[str, Any]:
    metadata = {"name": "connectors-config", "namespace": SYSTEM}
    named = {name.replace("_", "-"): value for name, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": named}


class Followed:
    """A source that runs, and the snapshots it made."""

    def __init__(
        self,
        server: FakeApiServer,
        client: KubeClient,
        *,
        token_secrets: bool = False,
        keep_off: bool = False,
        egress: EgressSettings | None = None,
    ) -> None:
        self.server = server
        self.store = SnapshotStore(Wanted(proxies=egress.compiled() if egress else None))
        self.source = ClusterSource(client, SYSTEM, self.store, SystemClock(), token_secrets=token_secrets)
        if keep_off:
            self.source.keep_off(OwnAddresses(client, ClusterNames(), (), SystemClock()))
        if egress:
            self.source.follow_logins(UpstreamLogins(egress.files, SystemClock()), egress.secrets)
        self.snapshots: list[Snapshot] = []
        self.told: list[ConnectorKey | str] = []
        self._news = asyncio.Event()
        self.store.subscribe(self._took)
        self._heard = asyncio.Event()
        self.source.subscribe(self._hear, self._hear)

    def _hear(self, key: ConnectorKey | str) -> None:
        self.told.append(key)
        self._heard.set()

    def _took(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        self._news.set()

    async def until(self, true: Callable[[Snapshot], bool], seconds: float = 5.0) -> Snapshot:
        async with asyncio.timeout(seconds):
            while not (self.store.ready and true(self.store.current)):
                self._news.clear()
                await self._news.wait()
        return self.store.current

    async def until_told(self, wanted: set[ConnectorKey | str], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not wanted <= set(self.told):
                self._heard.clear()
                await self._heard.wait()

    async def judgement(self, true: Callable[[Judgement], bool]) -> Judgement:
        snapshot = await self.until(lambda now: KEY in now.judgements and true(now.judgements[KEY]))
        return snapshot.judgements[KEY]

    async def refusal(self, true: Callable[[Refusal | None], bool]) -> Refusal | None:
        snapshot = await self.until(lambda now: KEY in now.plans and true(now.plans[KEY].refusal))
        return snapshot.plans[KEY].refusal


Follow = Callable[..., Followed]
