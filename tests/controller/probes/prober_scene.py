"""A prober with a sender and a clock that a test decides about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from prometheus_client import CollectorRegistry

from connectors.dial.kind import DialFailure, FailureKind
from connectors.inventory import Inventory
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.secret import Secret
from connectors.snapshot import Snapshot
from controller.destination import Platform
from controller.probes.lanes import Key
from controller.probes.metrics import ProbeMetrics
from controller.probes.outcome import Probed
from controller.probes.prober import Prober, ProberSurroundings
from controller.probes.schedule import ProbeSettings
from tests.controller.probes.subjects import BEARER, http, probed, probing_class, snapshot
from tests.peers.clock import FakeClock
from tests.peers.probe_sender import ScriptedSender

KEY = ConnectorKey("team", "tool")
BOTH = probing_class(http("/live"), http("/auth", httpHeaders=BEARER))
LIVE = probing_class(http("/live"))
REFUSED = DialFailure(FailureKind.REFUSED, "no")


@dataclass
class Scene:
    prober: Prober
    sender: ScriptedSender
    clock: FakeClock
    told: list[Key]
    registry: CollectorRegistry
    snapshot: Snapshot | None = None
    inventory: Inventory = field(default_factory=Inventory)

    def follow(self, *connectors: Connector, kind: ConnectorClass = BOTH, secret: Secret | None = None) -> None:
        """The next snapshot; what is the same object as before keeps its Judgement."""
        self.snapshot = snapshot(*connectors, classes=(kind,), secret=secret, inventory=self.inventory)
        self.prober.follow(self.snapshot)

    def known(self, key: Key = KEY) -> tuple[str, str]:
        probes = self.prober.probes(key)
        return say(probes.liveness), say(probes.auth)

    def fresh(self, key: Key = KEY) -> bool:
        return self.prober.probes(key).fresh


def say(probed: Probed | None) -> str:
    if probed is None:
        return "-"
    return probed.outcome.reason.value if probed.outcome.reason else probed.outcome.status.value


@asynccontextmanager
async def scene(
    settings: ProbeSettings | None = None, platform: Platform | None = None, sender: ScriptedSender | None = None
) -> AsyncIterator[Scene]:
    clock, told, registry = FakeClock(), list[Key](), CollectorRegistry()
    sender = sender or ScriptedSender()
    around = ProberSurroundings(sender, platform, clock, lambda: 0.5, ProbeMetrics(registry))
    prober = Prober(around, settings or ProbeSettings(), told.append)
    running = asyncio.create_task(prober.run())
    try:
        yield Scene(prober, sender, clock, told, registry)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def marked(mark: str, item: Connector | None = None) -> Connector:
    item = item or probed()
    return msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, labels={"mark": mark}))
