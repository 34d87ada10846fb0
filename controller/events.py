"""Events (core/v1): written in the background, a repeated one counted up in place instead of made again."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from connectors.kube.client import KubeClient
from connectors.kube.errors import AlreadyExistsError, ConflictError, ForbiddenError, KubeError, UnavailableError
from connectors.kube.resources import EVENTS, Resource
from connectors.objects.metadata import ObjectMeta
from connectors.process.clock import Clock, rfc3339
from controller.conditions import Happening
from controller.metrics import ControllerMetrics
from controller.service import COMPONENT
from controller.writer import NotLeaderError, Writer

logger = logging.getLogger("connectors.events")

# Events that wait. A class that breaks takes each of its Connectors along; more than a thousand help no one.
CAPACITY = 1000
TRIES = 6
# Seconds before the second try; doubles each time, so that an Event outlives half a minute without an API server.
FIRST_DELAY = 1.0
# Where Events about cluster-scoped objects are, by convention of the API server.
CLUSTER_SCOPED = "default"
# In the message of a 403 for a namespace that is being deleted (apiserver, admission plugin NamespaceLifecycle).
TERMINATING = "is being terminated"
_NAME_KEPT = 200


@dataclass(frozen=True, slots=True)
class Regarding:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str

    @classmethod
    def of(cls, resource: Resource, metadata: ObjectMeta) -> Regarding:
        """An object by its resource and metadata."""
        namespace = metadata.namespace if resource.namespaced else ""
        return cls(resource.api_version, resource.kind, namespace, metadata.name, metadata.uid)


class _EventMetadata(Struct, frozen=True, rename="camel"):
    resource_version: str = ""


class _Event(Struct, frozen=True):
    metadata: _EventMetadata = _EventMetadata()
    count: int | None = None


class EventRecorder:
    """`record` returns at once; `run` writes. What cannot be written is dropped and counted, never waited for.

    `capacity`: how many Events may wait.
    """

    def __init__(
        self,
        client: KubeClient,
        writer: Writer,
        clock: Clock,
        metrics: ControllerMetrics,
        capacity: int = CAPACITY,
    ) -> None:
        self._client = client
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._waiting: asyncio.Queue[tuple[Regarding, Happening]] = asyncio.Queue(capacity)
        self._forbidden = False
        self._overflowing = False

    def record(self, regarding: Regarding, happening: Happening) -> None:
        """Queue an Event; it is dropped if too many wait already."""
        try:
            self._waiting.put_nowait((regarding, happening))
        except asyncio.QueueFull:
            self._metrics.dropped_event()
            self._overflows()

    def clear(self) -> None:
        """Drop what waits: another replica leads."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._overflowing = False

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            regarding, happening = await self._waiting.get()
            if self._waiting.empty():
                self._overflowing = False
            if not await self._delivered(regarding, happening):
                self._metrics.dropped_event()

    async def _delivered(self, regarding: Regarding, happening: Happening) -> bool:
        """Whether the Event was written or may be left out. If it is lost, the log has said why."""
        problem = ""
        for attempt in range(TRIES):
            try:
                await self._write(regarding, happening)
            except ForbiddenError as error:
                if TERMINATING in str(error):
                    # No role would help, and the namespace takes its Events along.
                    return True
                self._refused(error)
                return False
            except UnavailableError as error:
                problem = str(error)
                await self._clock.sleep(error.retry_after or FIRST_DELAY * 2.0**attempt)
            except ConflictError as error:
                problem = str(error)
            except NotLeaderError:
                return False
            except KubeError as error:
                problem = str(error)
                break
            else:
                self._forbidden = False
                return True
        logger.warning("an Event about %s %s was not written: %s", regarding.kind, regarding.name, problem)
        return False

    async def _write(self, regarding: Regarding, happening: Happening) -> None:
        body = manifest(regarding, happening, rfc3339(self._clock.now()))
        name, namespace = body["metadata"]["name"], body["metadata"]["namespace"]
        try:
            await self._writer.create(EVENTS, body, namespace)
            return
        except AlreadyExistsError:
            pass
        found = msgspec.json.decode(await self._client.get(EVENTS, name, namespace), type=_Event)
        patch = {
            "metadata": {"resourceVersion": found.metadata.resource_version},
            "count": (found.count or 1) + 1,
            "lastTimestamp": body["lastTimestamp"],
        }
        await self._writer.merge(EVENTS, name, patch, namespace)

    def _refused(self, error: ForbiddenError) -> None:
        """Log once until it works again: a missing role would fill the log, or go unnoticed without a word."""
        if not self._forbidden:
            logger.error("Events are not written, since the API server does not allow it: %s", error)
        self._forbidden = True

    def _overflows(self) -> None:
        """Log once until all that waits was written: Events overflow by the hundred."""
        if not self._overflowing:
            capacity = self._waiting.maxsize
            logger.warning("more than %d Events wait to be written: those that do not fit are dropped", capacity)
        self._overflowing = True


def manifest(regarding: Regarding, happening: Happening, now: str) -> dict[str, Any]:
    """The Event. Its name follows from what it says of which object, for every replica and after each restart."""
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": _name(regarding, happening), "namespace": regarding.namespace or CLUSTER_SCOPED},
        "involvedObject": _involved(regarding),
        "type": happening.type.value,
        "reason": happening.reason,
        "message": happening.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _involved(regarding: Regarding) -> dict[str, str]:
    fields = {
        "apiVersion": regarding.api_version,
        "kind": regarding.kind,
        "namespace": regarding.namespace,
        "name": regarding.name,
        "uid": regarding.uid,
    }
    return {key: value for key, value in fields.items() if value}


def _name(regarding: Regarding, happening: Happening) -> str:
    said = "\0".join((regarding.uid, happening.type.value, happening.reason, happening.message))
    digest = hashlib.sha256(said.encode()).hexdigest()[:16]
    return f"{regarding.name[:_NAME_KEPT].rstrip('-.')}.{digest}"
