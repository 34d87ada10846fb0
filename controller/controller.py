"""The controller: competes for the Lease, and while it leads looks at whatever changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from connectors.dial.dial_settings import DialSettings
from connectors.kube.client import KubeClient
from connectors.kube.errors import ConflictError, KubeError, NotFoundError, UnavailableError
from connectors.objects.addresses import Origin
from connectors.objects.connector import ConnectorKey
from connectors.objects.names import SERVICE_PREFIX
from connectors.process.clock import Clock
from connectors.snapshot import Snapshot
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.authorities import AuthorityReporter
from controller.destination import Platform
from controller.events import EventRecorder
from controller.leader import Leadership
from controller.metrics import ControllerMetrics, ReconcileResult
from controller.probes.metrics import ProbeMetrics
from controller.probes.prober import Prober, ProberSurroundings
from controller.probes.probing import Sender
from controller.probes.schedule import ProbeSettings
from controller.queue import WorkQueue
from controller.reconcile import Knowledge, Reconciler, referred_services
from controller.service import ServiceKey
from controller.services import Services
from controller.writer import Applier, NotLeaderError, Writer

logger = logging.getLogger("connectors.controller")

# Seconds between two looks at whether the caches are complete: no event tells that an empty list is.
POLL = 0.1

# Writes of an object that fail in a row before the log tells: by then, a restart of the API server is over.
SILENT = 3

Key = ConnectorKey | str


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """`workers`: objects looked at at once. A write takes milliseconds: four keep up with hundreds a second.

    `published`: where the installation is reached from elsewhere.
    """

    platform: Platform = field(default_factory=Platform)
    workers: int = 4
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    dialing: DialSettings = field(default_factory=DialSettings)
    published: frozenset[Origin] = frozenset()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the controller works with. `jitter` returns a number from 0 to 1."""

    client: KubeClient
    source: ClusterSource
    store: SnapshotStore
    leadership: Leadership
    clock: Clock
    jitter: Callable[[], float]
    sender: Sender


class Controller:
    """`run` it beside `source.run`, which it does not start. Everything else it starts itself."""

    def __init__(
        self,
        around: Surroundings,
        settings: ControllerSettings,
        metrics: ControllerMetrics,
        probe_metrics: ProbeMetrics,
    ) -> None:
        self._around = around
        self._settings = settings
        self._metrics = metrics
        asking = ProberSurroundings(around.sender, settings.platform, around.clock, around.jitter, probe_metrics)
        self._prober = Prober(asking, settings.probes, self._wake)
        self.services = Services(around.client, around.clock)
        writer = Writer(around.client, around.leadership, around.clock, metrics)
        self._events = EventRecorder(around.client, writer, around.clock, metrics)
        knowledge = Knowledge(
            around.source, around.store, self.services, settings.platform, around.clock, self._prober.probes
        )
        applier = Applier(around.client, writer, self.services)
        self._reconciler = Reconciler(knowledge, applier, self._events, metrics)
        self._authorities = AuthorityReporter(self._events.record)
        self.queue: WorkQueue[Key] = WorkQueue(around.clock, around.jitter)
        self._snapshot: Snapshot | None = None
        self._leading = False
        self._unanswered: dict[Key, int] = {}
        metrics.watch(around.leadership.may_write, lambda: self.queue.depth)
        around.source.subscribe(self._changed, self._changed)
        around.store.subscribe(self._swapped)
        self.services.subscribe(self._service_changed)

    def missing(self) -> str | None:
        """What it still waits for before it could lead (a Readiness)."""
        for reflector in self.services.reflectors:
            if not reflector.health.synced:
                problem = reflector.health.problem
                return "the list of services" + (f": {problem}" if problem else "")
        return None

    async def run(self) -> None:
        """Compete, lead, follow, until cancelled; then let go of the Lease, once the last write has ended.

        It competes once the caches are complete: a replica that may not list must not keep one that may from leading.
        """
        if self._around.store.ready:
            self._swapped(self._around.store.current)
        try:
            async with asyncio.TaskGroup() as tasks:
                # Before competing: it must know which Services exist, or it would make them again.
                tasks.create_task(self.services.run())
                await self._synced()
                tasks.create_task(self._around.leadership.run())
                tasks.create_task(self._compete())
        finally:
            await self._around.leadership.release()

    async def _synced(self) -> None:
        while not (self._around.store.ready and self.services.synced):
            await self._around.clock.sleep(POLL)

    async def _compete(self) -> None:
        while True:
            await self._around.leadership.won()
            leading = asyncio.create_task(self._lead())
            lost = asyncio.create_task(self._around.leadership.lost())
            try:
                await asyncio.wait((leading, lost), return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._leading = False
                leading.cancel()
                lost.cancel()
                await asyncio.wait((leading, lost))
                # The replica that leads next looks at everything; what is left here would be done twice.
                self.queue.clear()
                self._unanswered.clear()
                self._prober.clear()
                self._events.clear()
                self._authorities.clear()
                self._metrics.follows()
            # It ends by itself only with an error: that ends the process, and another replica takes over.
            if not leading.cancelled():
                leading.result()

    async def _lead(self) -> None:
        self._leading = True
        snapshot = self._around.store.current
        self._prober.follow(snapshot)
        self._authorities.follow(snapshot.authorities)
        # All of it: the leader before may have ended between a look and its write.
        everything: list[Key] = [*snapshot.classes, *snapshot.judgements]
        for key in everything:
            self.queue.add(key)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.queue.run(self._settings.workers, self._work))
            tasks.create_task(self._events.run())
            tasks.create_task(self._prober.run())

    async def _work(self, key: Key) -> None:
        begun = self._around.clock.monotonic()
        result = await self._result(key)
        if result is not None:
            self._metrics.reconciled(result, self._around.clock.monotonic() - begun)

    async def _result(self, key: Key) -> ReconcileResult | None:
        """None if nothing may be written (any more): then the leading replica looks at everything."""
        try:
            result = await self._looked(key)
        except NotLeaderError:
            return None
        except UnavailableError as error:
            self._not_answered(key, error)
            return ReconcileResult.UNAVAILABLE
        self._unanswered.pop(key, None)
        return result

    async def _looked(self, key: Key) -> ReconcileResult:
        try:
            result = await self._reconciler.reconcile(key)
        except (NotLeaderError, UnavailableError):
            raise
        except (ConflictError, NotFoundError):
            self.queue.retry(key)
            return ReconcileResult.CONFLICT
        except KubeError as error:
            logger.warning("%s: the API server refused a write, it is tried again: %s", key, error)
            self.queue.retry(key)
            return ReconcileResult.REFUSED
        if result in {ReconcileResult.REFUSED, ReconcileResult.CONFLICT}:
            self.queue.retry(key)
        else:
            self.queue.forget(key)
        return result

    def _not_answered(self, key: Key, error: UnavailableError) -> None:
        self._unanswered[key] = times = self._unanswered.get(key, 0) + 1
        if times == SILENT:
            logger.warning("%s: %d tries in a row failed, it is tried again until one does not: %s", key, times, error)
        self.queue.retry(key, at_least=error.retry_after or 0.0)

    def _changed(self, key: Key) -> None:
        """Wake an object, unless the watch tells of our own write: that must not get round a back-off."""
        if not self._reconciler.echoes(key):
            self._wake(key)

    def _wake(self, key: Key) -> None:
        """Wake an object whatever is being written: something that it depends on has changed."""
        if self._leading:
            self.queue.add(key)

    def _swapped(self, snapshot: Snapshot) -> Iterator[None]:
        """Wake what has a new Judgement; a Connector of which nothing changed keeps its own."""
        self._snapshot = snapshot
        if self._leading:
            self._authorities.follow(snapshot.authorities)
        if snapshot.changed_classes:
            self.services.refer(
                key for item in snapshot.classes.values() for key in referred_services(item, self._settings.platform)
            )
        return self._probing_and_waking(snapshot)

    def _probing_and_waking(self, snapshot: Snapshot) -> Iterator[None]:
        """Update the probes first: a status must not tell of an earlier Secret."""
        if self._leading:
            yield from self._prober.following(snapshot)
        for key in snapshot.changed:
            self._wake(key)
            yield
        for name in snapshot.changed_classes:
            if name in snapshot.classes:
                self._wake(name)

    def _service_changed(self, key: ServiceKey) -> None:
        """Wakes the Connector that it belongs to by its name, and all whose class refers to it."""
        if key.name.startswith(SERVICE_PREFIX):
            self._wake(ConnectorKey(key.namespace, key.name.removeprefix(SERVICE_PREFIX)))
        if self._snapshot is None or not self._leading:
            return
        classes = {
            name
            for name, item in self._snapshot.classes.items()
            if key in referred_services(item, self._settings.platform)
        }
        if not classes:
            # Most are a Connector's own Service, which comes and goes with each of thousands.
            return
        for name in classes:
            self._wake(name)
        for connector_key, judgement in self._snapshot.judgements.items():
            if judgement.connector.spec.connector_class_name in classes:
                self._wake(connector_key)
