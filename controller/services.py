"""The Services that matter: those that carry our label, those that classes refer to, and those in our way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from msgspec import Raw

from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import SERVICES
from connectors.kube.selection import ObjectKey, Selection
from connectors.process.clock import Clock
from controller.service import CLASS_LABEL, HeldService, ServiceKey, decode_service

# Deleted Services whose uids are remembered: more than can be deleted while a write waits for its answer.
REMEMBERED = 1000


class Labelled(Cache[ServiceKey, HeldService]):
    """The Services with our label. It tells lives apart: a name may come back, and an answer may come late."""

    def __init__(self, tell: Callable[[ServiceKey], None]) -> None:
        super().__init__(_entry, tell, newer)
        self._gone: deque[str] = deque(maxlen=REMEMBERED)

    def deleted(self, raw: Raw) -> None:
        """Let go of it, unless another of its name was made meanwhile."""
        key, held = _entry(raw)
        self._gone.append(held.uid)
        if key in self.items and self.items[key].uid == held.uid:
            super().deleted(raw)

    def wrote(self, raw: bytes) -> None:
        """The answer to a write of ours; nothing, if the watch has told since that it is gone."""
        if decode_service(raw).uid not in self._gone:
            self.changed(Raw(raw))


class Services:
    """Follows the API server. Memory grows with Connectors and classes, not with other people's Services."""

    def __init__(self, client: KubeClient, clock: Clock) -> None:
        self._tells: list[Callable[[ServiceKey], None]] = []
        self._labelled = Labelled(self._labelled_told)
        self._named: Selection[HeldService] = Selection(client, SERVICES, decode_service, self._told, clock)
        self._referred: frozenset[ServiceKey] = frozenset()
        self._in_the_way: set[ServiceKey] = set()
        self.reflectors = (
            Reflector(client, Watched(SERVICES, Selector(labels=CLASS_LABEL)), self._labelled, clock),
            Reflector(client, Watched(SERVICES, metadata_only=True, anchored=True), self._named, clock),
        )

    def subscribe(self, tell: Callable[[ServiceKey], None]) -> None:
        """Be told which Service appeared, changed or went."""
        self._tells.append(tell)

    @property
    def synced(self) -> bool:
        """Whether it is known of every Service that matters whether it exists."""
        return self._labelled.synced and self._named.synced

    def refer(self, keys: Iterable[ServiceKey]) -> None:
        """The Services that classes refer to: these instead of those of the last call."""
        self._referred = frozenset(keys)
        self._want()

    def watch(self, key: ServiceKey) -> None:
        """One of a Connector's name that does not carry our label is in the way; `of` and `known` tell of it too."""
        if key not in self._in_the_way:
            self._in_the_way.add(key)
            self._want()

    def unwatch(self, key: ServiceKey) -> None:
        """It is not in the way any more."""
        if key in self._in_the_way:
            self._in_the_way.discard(key)
            self._want()

    def of(self, key: ServiceKey) -> HeldService | None:
        """The Service of that name, or None. To be asked where `known` says so."""
        return self._labelled.items.get(key) or self._named.get(ObjectKey(*key))

    def known(self, key: ServiceKey) -> bool:
        """Whether `of` can answer. Of what it does not know it tells as soon as it does."""
        named = key in self._in_the_way or key in self._referred
        return key in self._labelled.items or not named or self._named.fetched(ObjectKey(*key))

    def wrote(self, raw: bytes) -> None:
        """What the API server answered to a write of ours."""
        self._labelled.wrote(raw)

    async def run(self) -> None:
        """Follow the API server until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self.reflectors:
                tasks.create_task(reflector.run())
            tasks.create_task(self._named.run())

    def _want(self) -> None:
        self._named.want(ObjectKey(*key) for key in self._referred | self._in_the_way)

    def _labelled_told(self, key: ServiceKey) -> None:
        if key in self._labelled.items:
            self.unwatch(key)
        self._told(key)

    def _told(self, key: ServiceKey | ObjectKey) -> None:
        for tell in self._tells:
            tell(ServiceKey(*key))


def newer(before: HeldService, after: HeldService) -> HeldService:
    """`after`, unless it is an older version: the watch may tell of it behind the answer to a write of ours.

    Versions of one object are compared as numbers, which the API conventions allow since Kubernetes 1.35 and etcd has
    always granted. If they are not numbers, the later word counts.
    """
    old, new = before.resource_version, after.resource_version
    comparable = before.uid == after.uid and old.isdecimal() and new.isdecimal()
    return before if comparable and int(new) < int(old) else after


def _entry(raw: Raw) -> tuple[ServiceKey, HeldService]:
    held = decode_service(raw)
    return held.key, held
