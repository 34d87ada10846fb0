"""Controllers against a fake API server that listens, under a clock that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, EVENTS, SERVICES
from connectors.kube.transport import KubeRequest
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.metadata import API_VERSION
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.controller import Controller, ControllerSettings, Surroundings
from controller.leader import Candidate, Leadership, LeaseElection, OnlyReplica
from controller.metrics import ControllerMetrics
from controller.probes.metrics import ProbeMetrics
from tests.peers.api_objects import Manifest
from tests.peers.api_requests import Asked
from tests.peers.clock import FakeClock
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector
from tests.peers.probe_sender import ScriptedSender

SYSTEM = "connectors-system"
PROXY = "connectors-proxy-service"
BACKEND = f"{PROXY}.{SYSTEM}.svc.cluster.local"
STEP = 0.25
"""Seconds by which the clock moves at once: shorter than any timeout, so none ends while an answer is on its way."""
TURNS = 30
"""Of the event loop without a request in flight before the clock moves on: watch events cross loopback meanwhile."""


class CountingClient(KubeClient):
    """Knows how many requests wait for their answers."""

    in_flight = 0

    async def _ask(self, request: KubeRequest, limits: aiohttp.ClientTimeout | None = None) -> bytes:
        self.in_flight += 1
        try:
            return await super()._ask(request, limits)
        finally:
            self.in_flight -= 1

    async def watch(self, *arguments: Any, opened: Any = None, **named: Any) -> Any:
        """A watch counts as in flight until the server has accepted it."""
        self.in_flight += 1
        waiting = [None]

        def accepted() -> None:
            while waiting:
                waiting.pop()
                self.in_flight -= 1

        def told() -> None:
            accepted()
            if opened is not None:
                opened()

        try:
            async with aclosing(super().watch(*arguments, opened=told, **named)) as events:
                async for event in events:
                    yield event
        finally:
            accepted()


def repo(name: str = "repo", namespace: str = "team", **spec: Any) -> Manifest:
    """A Connector of class `git`."""
    address = spec.pop("address", "https://tool.example")
    return connector(name, address, spec.pop("connectorClassName", "git"), namespace=namespace, **spec)


def bare_class(name: str = "git", resolver: str = "", **spec: Any) -> Manifest:
    """A ConnectorClass with this spec and nothing else: no proxy."""
    metadata: dict[str, Any] = {"name": name}
    if resolver:
        metadata["annotations"] = {RESOLVER_ANNOTATION: resolver}
    return {"apiVersion": API_VERSION, "kind": "ConnectorClass", "metadata": metadata, "spec": spec}


def service(name: str, namespace: str = "team", **metadata: Any) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"type": "ClusterIP", "ports": [{"port": 80}]},
    }


@dataclass
class Replica:
    """One controller process, without the process."""

    client: KubeClient
    source: ClusterSource
    controller: Controller
    leadership: Leadership
    registry: CollectorRegistry
    task: asyncio.Task[None] | None = None

    async def _run(self) -> None:
        source = asyncio.create_task(self.source.run())
        try:
            await self.controller.run()
        finally:
            source.cancel()
            await asyncio.gather(source, return_exceptions=True)

    async def start(self) -> None:
        await self.client.start()
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
            self.task = None
        await self.client.close()

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)


class World:
    """A server with a class `git` that has a proxy, the proxy's Service, and as many replicas as the test starts."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.server = FakeApiServer()
        self.tool = ScriptedSender()
        """What every tool answers to probes."""
        self.replicas: list[Replica] = []
        self.held = 0
        """How many answers the server keeps back until the clock has moved: these are not waited for."""
        self._clients: list[CountingClient] = []
        self._folder = folder

    async def __aenter__(self) -> World:
        await self.server.__aenter__()
        self.server.put(bare_class(proxy={}))
        self.server.put(service(PROXY, SYSTEM))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for replica in self.replicas:
            await replica.stop()
        await self.server.__aexit__(kind, error, trace)

    def client(self) -> KubeClient:
        client = CountingClient(Access(self.server.kubeconfig(self._folder)))
        self._clients.append(client)
        return client

    async def start(self, identity: str = "") -> Replica:
        """Start a replica; with an identity it competes for the Lease."""
        client, store, registry = self.client(), SnapshotStore(), CollectorRegistry()
        source = ClusterSource(client, SYSTEM, store, self.clock)
        candidate = Candidate(identity, SYSTEM)
        leadership: Leadership = OnlyReplica()
        if identity:
            leadership = LeaseElection(client, candidate, self.clock, lambda: 0.0)
        around = Surroundings(client, source, store, leadership, self.clock, lambda: 1.0, self.tool)
        controller = Controller(around, ControllerSettings(), ControllerMetrics(registry), ProbeMetrics(registry))
        replica = Replica(client, source, controller, leadership, registry)
        self.replicas.append(replica)
        await replica.start()
        return replica

    async def advance(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        await self._answered()
        while (left := end - self.clock.monotonic()) > 1e-9:
            # Nothing happens before the next sleeper wakes: an hour without any need not pass in quarters of a second.
            await self.clock.advance(min(max(STEP, self.clock.until_next()), left), 2)
            await self._answered()

    async def _answered(self) -> None:
        quiet = 0
        while quiet < TURNS:
            await asyncio.sleep(0)
            # Not for those that the server keeps back: they come when the test says so, however the clock moves.
            waiting = sum(client.in_flight for client in self._clients) > self.held + self.server.kept
            waiting = waiting or any(not watch.queue.empty() for watch in self.server.watches)
            quiet = 0 if waiting else quiet + 1

    async def settled(self) -> None:
        """Return once nothing is asked any more; takes some fake seconds, and less than a back-off of a minute."""
        quiet = 0
        while quiet < 3:
            before = len(self.requests())
            await self.advance(0.5)
            quiet = quiet + 1 if len(self.requests()) == before else 0

    async def until(self, true: Callable[[], bool], seconds: float = 30.0) -> None:
        """Let time pass until it is true."""
        end = self.clock.monotonic() + seconds
        while not true():
            assert self.clock.monotonic() < end, "it did not come true in time"
            await self.advance(0.25)

    def hang(self, part: str) -> Callable[[], None]:
        """From now on the server does not answer requests whose path has this part; returns what ends that."""
        released = asyncio.Event()
        self.server.hangs.append((part, released))
        return released.set

    def requests(self) -> list[Asked]:
        """All but those for the Lease."""
        return [asked for asked in self.server.requests if "/leases" not in asked.path]

    def writes(self, plural: str = "") -> list[tuple[str, str]]:
        """Method and path of each write, the Lease's left out."""
        found = [asked for asked in self.server.writes() if "/leases" not in asked.path]
        return [(asked.method, asked.path) for asked in found if plural in asked.path]

    def status(self, name: str = "repo", namespace: str = "team") -> dict[str, Any]:
        found = self.server.get(CONNECTORS, name, namespace)
        assert found is not None
        return dict(found.get("status") or {})

    def conditions(self, name: str = "repo", namespace: str = "team") -> dict[str, tuple[str, str]]:
        status = self.status(name, namespace)
        return {item["type"]: (item["status"], item.get("reason", "")) for item in status.get("conditions", ())}

    def class_conditions(self, name: str = "git") -> dict[str, tuple[str, str]]:
        found = self.server.get(CONNECTOR_CLASSES, name)
        assert found is not None
        conditions = (found.get("status") or {}).get("conditions", ())
        return {item["type"]: (item["status"], item.get("reason", "")) for item in conditions}

    def service(self, name: str = "c-repo", namespace: str = "team") -> Manifest | None:
        return self.server.get(SERVICES, name, namespace)

    def events(self, namespace: str = "team") -> list[tuple[str, str, int]]:
        found = [(item["type"], item["reason"], item["count"]) for item in self.server.all(EVENTS, namespace)]
        return sorted(found)
