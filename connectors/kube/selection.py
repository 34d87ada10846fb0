"""A sink that holds only the objects somebody wants: it fetches them by name and follows them by a metadata watch."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from msgspec import Raw
from msgspec.structs import replace

from connectors.kube.client import KubeClient
from connectors.kube.errors import KubeError, NotFoundError, UnauthorizedError, UnavailableError
from connectors.kube.resources import Metadata, Resource, metadata_of
from connectors.process.backoff import Backoff
from connectors.process.clock import Clock, SystemClock

logger = logging.getLogger("connectors.kube")

V = TypeVar("V")

# Requests at once: a thousand objects take a second, and an API server's fair share for one client is not used up.
FETCHES = 16
# Seconds; the longest wait before an object that may not be read is asked for again.
REFUSED_CAP = 60.0
# Objects that may not be read and are named in the log: a missing role would name all of them.
LOGGED = 10


class ObjectKey(NamedTuple):
    """A namespaced object by name."""

    namespace: str
    name: str


@dataclass(slots=True)
class _Wanted(Generic[V]):
    """What is known of one wanted object. `held` is what its value was decoded from, None if there is no object.

    `broken`: what could not be decoded, so that a version is read, and the log told, once.
    `queued`: it waits for a fetch. `named`: the version that the watch named while a fetch ran. `refused`: the waits
    after answers that say no. `odd`: an answer was about another object, and the log says so.
    """

    known: bool = False
    held: Metadata | None = None
    broken: Metadata | None = None
    queued: bool = False
    running: bool = False
    named: str | None = None
    refused: Backoff | None = None
    timer: asyncio.Task[None] | None = None
    odd: bool = False

    @property
    def version(self) -> str | None:
        """The resourceVersion that was read last, whether or not it could be decoded."""
        read = self.held or self.broken
        return None if read is None else read.resource_version


class Selection(Generic[V]):
    """A Sink for an anchored, metadata-only Reflector. Memory grows with what is wanted, not with what there is.

    A wanted object is fetched whole when it becomes wanted, when the watch tells of a new resourceVersion, and after
    each new anchor. `tell` is called with the key whenever its value changed, appeared or went, and when it turns out
    that there is none.
    """

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        decode: Callable[[bytes], V],
        tell: Callable[[ObjectKey], None],
        clock: Clock | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._resource = resource
        self._decode = decode
        self._tell = tell
        self._clock = clock or SystemClock()
        self._chance = chance
        self._backoff = Backoff(chance=chance)
        self._wanted: dict[ObjectKey, _Wanted[V]] = {}
        self._values: dict[ObjectKey, V] = {}
        self._queue: asyncio.Queue[ObjectKey] = asyncio.Queue()
        self._timers: set[asyncio.Task[None]] = set()
        self._unknown: set[ObjectKey] = set()
        self._anchored = False
        self._away = False
        self._not_before = 0.0
        self._logged = 0

    def want(self, keys: Iterable[ObjectKey]) -> None:
        """Replace the set of wanted objects, and drop those that are no longer wanted."""
        wanted = set(keys)
        for key in [key for key in self._wanted if key not in wanted]:
            self.drop(key)
        for key in wanted:
            self.add(key)

    def add(self, key: ObjectKey) -> None:
        """Want one more object."""
        if key not in self._wanted:
            self._wanted[key] = _Wanted()
            self._count(key)
            if self._anchored:
                self._ask(key)

    def drop(self, key: ObjectKey) -> None:
        """Stop wanting an object."""
        self._wanted.pop(key, None)
        self._values.pop(key, None)
        self._count(key)

    @property
    def synced(self) -> bool:
        """Whether every wanted object was fetched, or found missing, since the first anchor."""
        return self._anchored and not self._unknown

    def get(self, key: ObjectKey) -> V | None:
        """The object, None if it does not exist or is not fetched yet (see `fetched`)."""
        return self._values.get(key)

    def fetched(self, key: ObjectKey) -> bool:
        """Whether the answer for this key is known: its value, that there is none, or that it may not be read."""
        entry = self._wanted.get(key)
        return entry is not None and entry.known

    def refused(self, key: ObjectKey) -> bool:
        """Whether the API server says that it may not be read, so that it is not known whether there is one."""
        entry = self._wanted.get(key)
        return entry is not None and entry.refused is not None and entry.held is None

    def unread(self, key: ObjectKey) -> bool:
        """Whether it is wanted, and not known whether it exists: it is `refused`, or not `fetched`."""
        return key in self._wanted and (self.refused(key) or not self.fetched(key))

    @property
    def items(self) -> Mapping[ObjectKey, V]:
        """The wanted objects that exist; a live view."""
        return MappingProxyType(self._values)

    def start_list(self) -> None:
        """Do nothing: the list only tells where the watch begins."""

    def listed(self, raw: Raw) -> None:
        """Do nothing: wanted objects are fetched by name."""

    def end_list(self) -> None:
        """Fetch everything, since changes before this anchor were not seen. What is held goes on serving meanwhile."""
        self._anchored = True
        for key in self._wanted:
            self._ask(key)

    def changed(self, raw: Raw) -> None:
        """Fetch it, if it is wanted and not held in this version."""
        metadata = metadata_of(raw)
        entry = self._wanted.get(_key(metadata))
        if entry is None:
            return
        if entry.running:
            entry.named = metadata.resource_version
        elif entry.version != metadata.resource_version:
            self._ask(_key(metadata))

    def deleted(self, raw: Raw) -> None:
        """Drop it, unless what is held is already its successor of the same name."""
        metadata = metadata_of(raw)
        key = _key(metadata)
        entry = self._wanted.get(key)
        if entry is None:
            return
        if entry.running:
            # The answer that is under way may have been written before or after: another one tells.
            entry.named = metadata.resource_version
        if entry.held is not None and entry.held.uid == metadata.uid:
            self._gone(key, entry)

    def _count(self, key: ObjectKey) -> None:
        """Keep count, so that `synced` need not look at thousands."""
        if key in self._wanted and not self._wanted[key].known:
            self._unknown.add(key)
        else:
            self._unknown.discard(key)

    async def run(self) -> None:
        """Fetch what waits to be fetched, a bounded number at once, with back-off; until cancelled."""
        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(FETCHES):
                    workers.create_task(self._work())
        finally:
            for timer in self._timers:
                timer.cancel()
            await asyncio.gather(*self._timers, return_exceptions=True)

    def _ask(self, key: ObjectKey) -> None:
        entry = self._wanted.get(key)
        if entry is None or entry.queued:
            return
        if entry.running:
            entry.named = ""
            return
        entry.queued = True
        self._queue.put_nowait(key)

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            await self._calm()
            entry = self._wanted.get(key)
            if entry is None or not entry.queued:
                continue
            entry.queued, entry.running, entry.named = False, True, None
            try:
                await self._fetch(key, entry)
            finally:
                entry.running = False
                self._count(key)
            if self._wanted.get(key) is entry and self._outdated(entry):
                self._ask(key)

    async def _calm(self) -> None:
        """Let all wait together: a server that cannot answer for one object cannot answer for the next."""
        while (wait := self._not_before - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait)

    def _outdated(self, entry: _Wanted[V]) -> bool:
        """Whether the watch told of another version than the fetch brought, while it ran."""
        if entry.named is None:
            return False
        return entry.named != entry.version

    async def _fetch(self, key: ObjectKey, entry: _Wanted[V]) -> None:
        if not self._possible(key):
            if self._wanted.get(key) is entry:
                self._gone(key, entry)
            return
        try:
            body = await self._client.get(self._resource, key.name, key.namespace)
        except NotFoundError:
            self._answered(entry)
            if self._wanted.get(key) is entry:
                self._gone(key, entry)
        except (UnavailableError, UnauthorizedError) as error:
            entry.named = ""
            self._unanswered(error)
        except KubeError as error:
            self._refused(key, entry, error)
        else:
            self._answered(entry)
            if self._wanted.get(key) is entry:
                self._take(key, entry, body)

    def _possible(self, key: ObjectKey) -> bool:
        """Whether an object can have this name at all: the author of a Connector may have written anything."""
        try:
            self._resource.object_path(key.namespace, key.name)
        except ValueError:
            return False
        return True

    def _take(self, key: ObjectKey, entry: _Wanted[V], body: bytes) -> None:
        metadata = metadata_of(body)
        if _key(metadata) != key:
            # Whatever the cause, the content of another object must not be given out under this name.
            if not entry.odd:
                entry.odd = True
                logger.error(
                    "%s %s/%s: the answer is about another object, it counts as missing", self._resource.kind, *key
                )
            self._gone(key, entry)
            return
        if entry.known and metadata in (entry.held, entry.broken):
            return
        try:
            value = self._decode(body)
        except Exception as error:  # noqa: BLE001 - one object that no code of ours expected must not stop all others
            # Neither the body nor the error's text: both may quote a Secret.
            logger.error("%s %s/%s cannot be read: %s", self._resource.kind, *key, type(error).__name__)
            self._gone(key, entry)
            entry.broken = metadata
            return
        # With the key's own strings: equal ones are there already.
        entry.known, entry.broken = True, None
        entry.held = replace(metadata, name=key.name, namespace=key.namespace)
        self._values[key] = value
        self._tell(key)

    def _gone(self, key: ObjectKey, entry: _Wanted[V]) -> None:
        news = entry.held is not None or not entry.known
        entry.known, entry.held, entry.broken = True, None, None
        self._values.pop(key, None)
        if news:
            self._tell(key)

    def _answered(self, entry: _Wanted[V]) -> None:
        self._backoff.reset()
        self._not_before = 0.0
        if entry.refused is not None:
            # Until now it was not known that the object does not exist: tell of it.
            entry.refused, entry.known = None, False
        if self._away:
            self._away = False
            logger.info("%s can be read again", self._resource.plural)

    def _unanswered(self, error: KubeError) -> None:
        if not self._away:
            self._away = True
            logger.warning("%s cannot be read, trying again: %s", self._resource.plural, error)
        now = self._clock.monotonic()
        if now >= self._not_before:
            # Otherwise another fetch, which ran at the same time, has logged it already.
            named = error.retry_after if isinstance(error, UnavailableError) else None
            self._not_before = now + max(self._backoff.next(), named or 0.0)

    def _refused(self, key: ObjectKey, entry: _Wanted[V], error: KubeError) -> None:
        """Handle an answer that refuses this object; others may be readable, so only this one waits."""
        if entry.refused is None:
            entry.refused = Backoff(cap=REFUSED_CAP, chance=self._chance)
            self._logged += 1
            if self._logged <= LOGGED:
                logger.warning("%s %s/%s cannot be read, trying again: %s", self._resource.kind, *key, error)
        if entry.held is None and self._wanted.get(key) is entry:
            self._gone(key, entry)
        if entry.timer is None or entry.timer.done():
            entry.timer = asyncio.get_running_loop().create_task(self._later(key, entry.refused.next()))
            self._timers.add(entry.timer)
            entry.timer.add_done_callback(self._timers.discard)

    async def _later(self, key: ObjectKey, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._ask(key)


def _key(metadata: Metadata) -> ObjectKey:
    return ObjectKey(metadata.namespace, metadata.name)
