"""Who may write: one replica at a time, by a Lease (coordination.k8s.io/v1), as client-go's leader election.

Why two replicas never both write. Let t be the moment, by the leader's clock, at which its last successful renewal was
begun. It begins no write after t + deadline (`may_write`), and each write ends within lease - deadline seconds
(`write_timeout`), so all its writes have ended by t + lease. Another replica takes over once the Lease has not changed
for `lease` seconds of its own clock, counted from when it saw the renewal, which was after t. So it begins after
t + lease. No clock is compared with another's, and no timestamp of the Lease is read: only lengths of time have to be
true, and monotonic clocks run at the same speed within far less than the margins. What was sent in time and lingers in
the network is refused by the API server for its stale resourceVersion, or fails as a second creation.

A Lease that is gone counts, for a replica that has seen one before, as held until `lease` seconds after it was first
missed. Its holder stops as soon as a renewal finds nothing, and may make it again, since no other replica can lead that
early. Only a replica that has just started, and has never seen a Lease, makes one and leads at once, as on the first
installation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from connectors.kube.client import KubeClient
from connectors.kube.errors import AlreadyExistsError, ApiStatusError, ConflictError, KubeError, NotFoundError
from connectors.kube.resources import LEASES
from connectors.process.clock import Clock, within

logger = logging.getLogger("connectors.leader")

LEASE_NAME = "connectors-controller-manager"


class Leadership(Protocol):
    """What writers ask, and what the controller waits for."""

    def may_write(self) -> bool:
        """Whether a write may begin now."""

    async def won(self) -> None:
        """Return once this replica leads."""

    async def lost(self) -> None:
        """Return once this replica does not lead (any more)."""

    async def run(self) -> None:
        """Compete until cancelled."""

    async def release(self) -> None:
        """Let another take over at once. Only after `run` was cancelled and the last write has ended."""


class OnlyReplica:
    """Leadership if no other replica competes (--no-leader-elect)."""

    def may_write(self) -> bool:
        """Always."""
        return True

    async def won(self) -> None:
        """At once."""

    async def lost(self) -> None:
        """Never."""
        await asyncio.Event().wait()

    async def run(self) -> None:
        """Nothing to do."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds; client-go's defaults. `retry` is between two attempts, and gets up to a fifth of jitter on top."""

    lease: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0

    @property
    def write_timeout(self) -> float:
        """How long a write may take."""
        return self.lease - self.deadline


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who competes, and for which Lease. `identity` must be another one for each start of a process."""

    identity: str
    namespace: str
    name: str = LEASE_NAME


class _LeaseMetadata(Struct, frozen=True, rename="camel"):
    uid: str = ""
    resource_version: str = ""


class _LeaseSpec(Struct, frozen=True, rename="camel"):
    holder_identity: str | None = None
    lease_transitions: int | None = None


class _Parts(Struct, frozen=True):
    metadata: _LeaseMetadata = _LeaseMetadata()
    spec: _LeaseSpec = _LeaseSpec()


@dataclass(frozen=True, slots=True)
class _Lease:
    """The fields that are read, and the whole object, which is written back with what others put there."""

    metadata: _LeaseMetadata
    spec: _LeaseSpec
    whole: dict[str, Any]

    @classmethod
    def decode(cls, raw: bytes) -> _Lease:
        parts = msgspec.json.decode(raw, type=_Parts)
        return cls(parts.metadata, parts.spec, msgspec.json.decode(raw))


class LeaseElection:
    """Leadership by a Lease. See the module for the rules. `jitter` returns a number from 0 to 1."""

    def __init__(
        self,
        client: KubeClient,
        candidate: Candidate,
        clock: Clock,
        jitter: Callable[[], float],
        times: LeaseTimes = LeaseTimes(),
    ) -> None:
        self._client = client
        self._candidate = candidate
        self._clock = clock
        self._jitter = jitter
        self._times = times
        self._renewed: float | None = None
        self._seen: _Lease | None = None
        self._seen_at = 0.0
        self._missed = False
        # A write that would make this replica lead was begun, and how it ended is not known.
        self._asked_for = False
        self._leads = asyncio.Event()
        self._follows = asyncio.Event()
        self._follows.set()
        self._problem = ""

    def may_write(self) -> bool:
        """Whether a write may begin now; it must end within `write_timeout`."""
        return self._renewed is not None and self._clock.monotonic() < self._renewed + self._times.deadline

    async def won(self) -> None:
        """Return once this replica leads."""
        await self._leads.wait()

    async def lost(self) -> None:
        """Return once this replica does not lead (any more)."""
        await self._follows.wait()

    async def run(self) -> None:
        """Compete, and renew what is won, until cancelled; whatever the API server does."""
        while True:
            try:
                await within(self._clock, self._patience(), self._attempt())
                self._noted("")
            except (KubeError, TimeoutError) as error:
                self._noted(f"{error}")
            if self._renewed is not None and not self.may_write():
                self._follow("the Lease could not be renewed in time")
            await self._clock.sleep(self._pause())

    async def release(self) -> None:
        """Empty the Lease, if this replica holds it, so that another takes over at once.

        A process can be told to stop while it asks for the Lease: then the API server may have given it.
        """
        if self._renewed is None and not self._asked_for:
            return
        logger.info("this replica lets go of the Lease")
        self._stop_leading()
        try:
            await within(self._clock, self._times.write_timeout, self._give_up())
        except (KubeError, TimeoutError) as error:
            logger.warning("the Lease could not be released, another replica waits until it expires: %s", error)

    def _patience(self) -> float:
        """Of one attempt, in seconds: a leader hears of its end at its deadline, whatever hangs.

        A candidate asks twice, so it gets longer: there is nothing yet that it would have to stop in time.
        """
        if self._renewed is None:
            return self._times.deadline
        return max(0.0, min(self._times.write_timeout, self._renewed + self._times.deadline - self._clock.monotonic()))

    def _pause(self) -> float:
        pause = self._times.retry * (1 + 0.2 * self._jitter())
        if self._renewed is None:
            return pause
        return max(0.0, min(pause, self._renewed + self._times.deadline - self._clock.monotonic()))

    async def _attempt(self) -> None:
        if self._renewed is not None and self._seen is not None:
            try:
                return await self._take(self._seen)
            except ConflictError:
                pass  # another replica wrote the Lease, or we did and the answer was lost: look at it
            except NotFoundError:
                return await self._found_none()
        lease = await self._read()
        if lease is None:
            return await self._found_none()
        self._see(lease)
        if lease.spec.holder_identity in {None, "", self._candidate.identity} or self._expired():
            return await self._take(lease)
        self._follow(f"{lease.spec.holder_identity} leads")
        return None

    async def _found_none(self) -> None:
        free = self.may_write() or self._seen is None
        self._follow("the Lease was deleted")
        if not self._missed:
            self._missed = True
            self._seen_at = self._clock.monotonic()
        if not free and not self._expired():
            return
        begun = self._clock.monotonic()
        try:
            with self._asking():
                raw = await self._client.create(LEASES, self._new(), self._candidate.namespace)
        except AlreadyExistsError:
            return
        self._lead(_Lease.decode(raw), begun)

    async def _take(self, lease: _Lease) -> None:
        """Acquire or renew. A write of the Lease since `lease` was read makes this a ConflictError."""
        spec: dict[str, Any] = {"renewTime": _micro(self._clock.now()), "leaseDurationSeconds": int(self._times.lease)}
        if lease.spec.holder_identity != self._candidate.identity:
            transitions = (lease.spec.lease_transitions or 0) + 1
            spec |= {"holderIdentity": self._candidate.identity, "acquireTime": spec["renewTime"]}
            spec |= {"leaseTransitions": transitions}
        begun = self._clock.monotonic()
        with self._asking():
            taken = await self._replace(lease, spec)
        self._lead(taken, begun)

    async def _give_up(self) -> None:
        """Ask twice, since a renewal whose answer was not waited for may have changed the Lease meanwhile."""
        for lease in (self._seen, await self._read()):
            if lease is None or lease.spec.holder_identity != self._candidate.identity:
                continue
            try:
                # Left out rather than empty: newer API servers refuse an empty holder.
                await self._replace(lease, {"holderIdentity": None, "leaseDurationSeconds": 1})
            except ConflictError:
                continue
            return

    async def _replace(self, lease: _Lease, changes: dict[str, Any]) -> _Lease:
        """PUT, with uid and resourceVersion of `lease` as preconditions; a change to None leaves the field out."""
        metadata = {key: value for key, value in lease.whole["metadata"].items() if key != "managedFields"}
        spec = {**(lease.whole.get("spec") or {}), **changes}
        body = lease.whole | {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {key: value for key, value in spec.items() if value is not None},
        }
        return _Lease.decode(await self._client.replace(LEASES, body))

    async def _read(self) -> _Lease | None:
        try:
            raw = await self._client.get(LEASES, self._candidate.name, self._candidate.namespace)
        except NotFoundError:
            return None
        return _Lease.decode(raw)

    def _new(self) -> dict[str, Any]:
        now = _micro(self._clock.now())
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._candidate.name, "namespace": self._candidate.namespace},
            "spec": {
                "holderIdentity": self._candidate.identity,
                "leaseDurationSeconds": int(self._times.lease),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": 0,
            },
        }

    def _see(self, lease: _Lease) -> None:
        """Note when the Lease last changed, as far as seen from here: after the answer, so never too early."""
        if self._seen is None or self._seen.metadata != lease.metadata:
            self._seen_at = self._clock.monotonic()
        self._seen = lease
        self._missed = False

    def _expired(self) -> bool:
        return self._clock.monotonic() >= self._seen_at + self._times.lease

    def _lead(self, lease: _Lease, begun: float) -> None:
        """`begun`: when the write was, not the look before it: no replica can have seen the renewal earlier."""
        self._see(lease)
        if self._renewed is None:
            logger.info("this replica leads, as %s", self._candidate.identity)
        self._renewed = begun
        self._follows.clear()
        self._leads.set()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Around a write: an answer ends the doubt, yes or no; to be cut off, or no answer, leaves it."""
        self._asked_for = True
        try:
            yield
        except ApiStatusError:
            self._asked_for = False
            raise
        self._asked_for = False

    def _follow(self, why: str) -> None:
        if self._renewed is None:
            return
        logger.warning("this replica does not lead any more: %s", why)
        self._stop_leading()

    def _stop_leading(self) -> None:
        self._renewed = None
        self._leads.clear()
        self._follows.set()

    def _noted(self, problem: str) -> None:
        """Say it once: an API server that is away for an hour is one line, not two thousand."""
        if problem and problem != self._problem:
            logger.warning("the Lease could not be asked for: %s", problem)
        self._problem = problem


def _micro(moment: datetime) -> str:
    """metav1.MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
