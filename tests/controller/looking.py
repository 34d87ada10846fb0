"""A Reconciler in a World, that looks when a test says so."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from connectors.kube.client import KubeClient
from connectors.objects.connector import ConnectorKey
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.destination import Platform
from controller.events import EventRecorder
from controller.leader import OnlyReplica
from controller.metrics import ControllerMetrics, ReconcileResult
from controller.probes.outcome import PENDING
from controller.reconcile import Knowledge, Reconciler
from controller.services import Services
from controller.writer import Applier, Writer
from tests.controller.world import SYSTEM, World

KEY = ConnectorKey("team", "repo")
PLATFORM = Platform()
WRITTEN, UNCHANGED = ReconcileResult.WRITTEN, ReconcileResult.UNCHANGED


class Looking:
    """A Reconciler whose caches follow the server, and that looks only when the test says so."""

    def __init__(self, world: World) -> None:
        self.client: KubeClient = world.client()
        self.store = SnapshotStore()
        self.source = ClusterSource(self.client, SYSTEM, self.store, world.clock)
        self.services = Services(self.client, world.clock)
        metrics = ControllerMetrics(CollectorRegistry())
        writer = Writer(self.client, OnlyReplica(), world.clock, metrics)
        events = EventRecorder(self.client, writer, world.clock, metrics)
        knowledge = Knowledge(self.source, self.store, self.services, PLATFORM, world.clock, lambda _: PENDING)
        self.reconciler = Reconciler(knowledge, Applier(self.client, writer, self.services), events, metrics)
        self.tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.client.start()
        self.tasks = [asyncio.create_task(self.source.run()), asyncio.create_task(self.services.run())]
        self.services.refer({PLATFORM.proxy})

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.client.close()

    async def __call__(self, key: ConnectorKey | str = KEY) -> ReconcileResult:
        return await self.reconciler.reconcile(key)
