"""Every write of the controller but the Lease's goes through here: it asks who leads, ends in time, and is counted."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from connectors.kube.client import KubeClient
from connectors.kube.errors import AlreadyExistsError, NotFoundError, UnavailableError
from connectors.kube.resources import SERVICES, Resource
from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.metadata import ObjectMeta
from connectors.process.clock import Clock, within
from controller.leader import Leadership, LeaseTimes
from controller.metrics import ControllerMetrics
from controller.service import Change, Create, HeldService, Remove, ServiceAction, decode_service
from controller.services import Services

T = TypeVar("T")


class NotLeaderError(Exception):
    """Another replica may lead by now: nothing was sent."""


class Writer:
    """Writes as the leader. Each method raises what its namesake of KubeClient does, and NotLeaderError.

    `timeout`: seconds after which a write counts as failed; see controller/leader.py for why it is what it is.
    """

    def __init__(
        self,
        client: KubeClient,
        leadership: Leadership,
        clock: Clock,
        metrics: ControllerMetrics,
        timeout: float = LeaseTimes().write_timeout,
    ) -> None:
        self._client = client
        self._leadership = leadership
        self._clock = clock
        self._metrics = metrics
        self._timeout = timeout

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str) -> bytes:
        """POST; the answer is the object."""
        self._ask(resource, "create")
        return await self._send(self._client.create(resource, body, namespace))

    async def merge(self, resource: Resource, name: str, patch: dict[str, Any], namespace: str) -> bytes:
        """PATCH; the answer is the object."""
        self._ask(resource, "patch")
        return await self._send(self._client.merge(resource, name, patch, namespace))

    async def replace_status(self, resource: Resource, body: dict[str, Any]) -> bytes:
        """PUT of the status subresource; the answer is the object."""
        self._ask(resource, "update")
        return await self._send(self._client.replace(resource, body, "status"))

    async def delete(self, resource: Resource, name: str, namespace: str, *, uid: str, resource_version: str) -> None:
        """DELETE of exactly that object in exactly that version."""
        self._ask(resource, "delete")
        deletion = self._client.delete(resource, name, namespace, uid=uid, resource_version=resource_version)
        await self._send(deletion)

    def _ask(self, resource: Resource, verb: str) -> None:
        if not self._leadership.may_write():
            raise NotLeaderError
        self._metrics.wrote(resource.plural, verb)

    async def _send(self, request: Coroutine[Any, Any, T]) -> T:
        try:
            return await within(self._clock, self._timeout, request)
        except TimeoutError as error:
            raise UnavailableError(str(error)) from None


class Applier:
    """Carries out what a plan says, Services and statuses: each write has what was looked at as its precondition.

    It feeds the answers back, so that no one has to wait for the watch to tell of them.
    """

    def __init__(self, client: KubeClient, writer: Writer, services: Services) -> None:
        self._client = client
        self._writer = writer
        self._services = services

    async def service(self, action: ServiceAction) -> HeldService | None:
        """Do it; returns the Service as it is then, which may be somebody else's, or None.

        Raises:
            KubeError: ConflictError where it is not any more what was looked at, and the others.
            NotLeaderError: nothing was sent.
        """
        if isinstance(action, Remove):
            await self._remove(action.held)
            return None
        if isinstance(action, Create):
            return await self._create(action)
        return await self._change(action)

    async def status(
        self, resource: Resource, metadata: ObjectMeta, version: str, status: ConnectorStatus | ConnectorClassStatus
    ) -> bytes:
        """Replace the status of the object in that version; returns the object.

        Raises:
            KubeError: ConflictError where there is a newer version, and the others.
            NotLeaderError: nothing was sent.
        """
        names: dict[str, Any] = {"name": metadata.name, "uid": metadata.uid, "resourceVersion": version}
        if resource.namespaced:
            names["namespace"] = metadata.namespace
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": names}
        return await self._writer.replace_status(resource, body | {"status": msgspec.to_builtins(status)})

    async def _create(self, action: Create) -> HeldService | None:
        try:
            raw = await self._writer.create(SERVICES, action.body, action.key.namespace)
        except AlreadyExistsError:
            # It carries no label of ours, or the watch is behind: look at the thing itself.
            self._services.watch(action.key)
            return await self._look(action)
        return self._ours(raw)

    async def _look(self, action: Create) -> HeldService | None:
        try:
            return decode_service(await self._client.get(SERVICES, action.key.name, action.key.namespace))
        except NotFoundError:
            return None

    async def _change(self, action: Change) -> HeldService | None:
        return self._ours(await self._writer.merge(SERVICES, action.key.name, action.patch, action.key.namespace))

    async def _remove(self, held: HeldService) -> None:
        key = held.key
        try:
            await self._writer.delete(
                SERVICES, key.name, key.namespace, uid=held.uid, resource_version=held.resource_version
            )
        except NotFoundError:
            return

    def _ours(self, raw: bytes) -> HeldService:
        self._services.wrote(raw)
        return decode_service(raw)
