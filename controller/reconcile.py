"""One look at one object: gather, plan, apply, and plan again with what that changed. Level-triggered, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import msgspec

from connectors.judgement import Judgement
from connectors.kube.errors import ApiStatusError, ConflictError, NotFoundError, UnauthorizedError
from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, Resource
from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.metadata import ObjectMeta
from connectors.objects.names import service_name
from connectors.process.clock import Clock, rfc3339
from connectors.sources.api_objects import HeldClass, HeldConnector
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.destination import Behind, ClusterProxy, Platform, api_destination, proxy_destination
from controller.events import EventRecorder, Regarding
from controller.metrics import ControllerMetrics, ReconcileResult
from controller.plans import connector, connector_class
from controller.probes.outcome import Probes
from controller.service import ServiceKey, service_key
from controller.services import Services
from controller.writer import Applier

# Rounds of planning and applying. Two are enough: remove a former Connector's Service, then make ours.
ROUNDS = 3

# What is held of an object, its version left out.
_State = tuple[Connector | ConnectorClass, ConnectorStatus | ConnectorClassStatus]


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Where a look gathers its facts."""

    source: ClusterSource
    store: SnapshotStore
    services: Services
    platform: Platform
    clock: Clock
    probes: Callable[[ConnectorKey | str], Probes]


class Reconciler:
    """Brings the cluster to the wanted state, one object at a time. The store must be ready."""

    def __init__(
        self, knowledge: Knowledge, applier: Applier, events: EventRecorder, metrics: ControllerMetrics
    ) -> None:
        self._known = knowledge
        self._applier = applier
        self._events = events
        self._metrics = metrics
        self._writing: dict[ConnectorKey | str, _State] = {}

    def echoes(self, key: ConnectorKey | str) -> bool:
        """Whether the object is already as a write of ours, still under way, will make it: then nothing is to be done.

        The watch may tell of a write before its answer does, or after.
        """
        held = self._held(key) if key in self._writing else None
        return held is not None and self._writing[key] == (held.item, held.status)

    async def reconcile(self, key: ConnectorKey | str) -> ReconcileResult:
        """A Connector by its key, a class by its name. One that is gone, or not known well enough yet, is left alone.

        Raises:
            KubeError: it is to be tried again: at once after a ConflictError, else after a while.
            NotLeaderError: it is not ours to do.
        """
        if isinstance(key, ConnectorKey):
            return await self._connector(key)
        return await self._class(key)

    async def _connector(self, key: ConnectorKey) -> ReconcileResult:
        held = self._known.source.connector(key)
        if held is None:
            # Its Service goes by garbage collection.
            self._known.services.unwatch(ServiceKey(key.namespace, service_name(key.name)))
            self._metrics.gone(key)
            return ReconcileResult.UNCHANGED
        judgement = self._known.store.current.judgements.get(key)
        if judgement is None or held.deleting or not _same(judgement.connector.metadata, held.item.metadata):
            # The next snapshot brings the newer object and wakes this key.
            return ReconcileResult.UNCHANGED
        proxy = self._proxy(judgement)
        if proxy is None:
            return ReconcileResult.UNCHANGED
        return await self._planned(judgement, held, proxy)

    async def _planned(self, judgement: Judgement, held: HeldConnector, proxy: ClusterProxy) -> ReconcileResult:
        now = rfc3339(self._known.clock.now())
        probes = self._known.probes(judgement.connector.key)
        plan = connector.plan(judgement, held.status, connector.ConnectorFacts(proxy, probes), now)
        wrote = False
        for _ in range(ROUNDS):
            if plan.service is None or proxy.problem:
                break
            proxy, wrote = await self._applied(plan, proxy), True
            plan = connector.plan(judgement, held.status, connector.ConnectorFacts(proxy, probes), now)
        key = judgement.connector.key
        self._metrics.judged(key, plan.status.conditions)
        if await self._write_status(CONNECTORS, key, held, plan):
            wrote = True
        if proxy.problem:
            return ReconcileResult.REFUSED
        if plan.service is not None:
            # It changes faster than it can be looked at. Try again: the last change may not be told of any more.
            return ReconcileResult.CONFLICT
        return ReconcileResult.WRITTEN if wrote else ReconcileResult.UNCHANGED

    def _held(self, key: ConnectorKey | str) -> HeldConnector | HeldClass | None:
        source = self._known.source
        return source.connector(key) if isinstance(key, ConnectorKey) else source.connector_class(key)

    def _told(self, key: ConnectorKey | str, before: HeldConnector | HeldClass, raw: bytes) -> None:
        """Feed the answer back, unless the watch has brought something newer: the object may even be gone."""
        if self._held(key) is before:
            self._known.source.wrote(key, raw)

    @contextmanager
    def _echo(self, key: ConnectorKey | str, expected: _State) -> Iterator[None]:
        """Until the answer is fed back, `echoes` knows the write by what it makes of the object."""
        self._writing[key] = expected
        try:
            yield
        finally:
            del self._writing[key]

    async def _applied(self, plan: connector.ConnectorPlan, proxy: ClusterProxy) -> ClusterProxy:
        """The facts after the plan's action. A refusal is a fact; an error that may go away by itself is raised."""
        if plan.service is None:
            return proxy
        try:
            return replace(proxy, service=await self._applier.service(plan.service))
        except (ConflictError, NotFoundError, UnauthorizedError):
            raise  # over by the next try: told in a status, it would come and go there
        except ApiStatusError as error:
            return replace(proxy, problem=str(error))

    def _proxy(self, judgement: Judgement) -> ClusterProxy | None:
        """The facts about Services, None while some are not known; then Services tells as soon as they are."""
        services, platform = self._known.services, self._known.platform
        own = service_key(judgement.connector)
        spec = judgement.connector_class.spec.proxy if judgement.connector_class else None
        destination = proxy_destination(spec, platform) if spec else None
        backend = destination.service if isinstance(destination, Behind) else None
        if not services.known(own) or (backend is not None and not services.known(backend)):
            return None
        exists = backend is not None and services.of(backend) is not None
        return ClusterProxy(platform, services.of(own), exists)

    async def _class(self, name: str) -> ReconcileResult:
        held = self._known.source.connector_class(name)
        snapshot = self._known.store.current
        judged = snapshot.classes.get(name)
        if held is None or held.deleting or judged is None:
            return ReconcileResult.UNCHANGED
        if not _same(judged.metadata, held.item.metadata):
            return ReconcileResult.UNCHANGED
        referred = referred_services(judged, self._known.platform)
        if not all(self._known.services.known(key) for key in referred):
            return ReconcileResult.UNCHANGED
        existing = frozenset(key for key in referred if self._known.services.of(key) is not None)
        facts = connector_class.ClusterServices(self._known.platform, existing, self._known.probes(name))
        now = rfc3339(self._known.clock.now())
        plan = connector_class.plan(judged, snapshot.class_violations[name], held.status, facts, now)
        wrote = await self._write_status(CONNECTOR_CLASSES, name, held, plan)
        return ReconcileResult.WRITTEN if wrote else ReconcileResult.UNCHANGED

    async def _write_status(
        self,
        resource: Resource,
        key: ConnectorKey | str,
        held: HeldConnector | HeldClass,
        plan: connector.ConnectorPlan | connector_class.ClassPlan,
    ) -> bool:
        """Write the plan's status and record its events. Returns False if the status is right already."""
        if plan.status == held.status:
            return False
        metadata = held.item.metadata
        # The watch often tells of a write before its answer is here: without this, each write would cause another look.
        with self._echo(key, (held.item, plan.status)):
            raw = await self._applier.status(resource, metadata, held.resource_version, plan.status)
            self._told(key, held, raw)
        # After the write: a status that could not be written is planned again, and would tell of them twice.
        for event in plan.events:
            self._events.record(Regarding.of(resource, metadata), event)
        return True


def referred_services(item: ConnectorClass, platform: Platform) -> frozenset[ServiceKey]:
    """The Services that a class's proxy and API are behind."""
    destinations = (
        proxy_destination(item.spec.proxy, platform) if item.spec.proxy else None,
        api_destination(item.spec.api, platform) if item.spec.api else None,
    )
    return frozenset(found.service for found in destinations if isinstance(found, Behind))


def _same(judged: ObjectMeta, held: ObjectMeta) -> bool:
    """Whether the snapshot judged what is held: the resourceVersion may differ, a write to the status moves it."""
    version = held.resource_version
    return msgspec.structs.replace(judged, resource_version=version) == held
