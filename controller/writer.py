"""Every write of the controller but the Lease's goes through here: it asks who leads, ends in time, and is counted."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from connectors.kube.client import KubeClient
from connectors.kube.errors import UnavailableError
from connectors.kube.resources import Resource
from connectors.process.clock import Clock
from controller.deadline import within
from controller.leader import Leadership, LeaseTimes
from controller.metrics import ControllerMetrics

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
