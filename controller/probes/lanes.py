"""Who asks now: so many probes at once of all tools, of one, and for one namespace; the slow ones by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from connectors.objects.addresses import Origin
from connectors.objects.connector import ConnectorKey
from connectors.process.clock import Clock
from controller.probes.origins import Origins
from controller.probes.outcome import Purpose
from controller.probes.schedule import SLOW, ProbeSettings
from controller.queue import Turns, WorkQueue

# A Connector, or a class by its name.
Key = ConnectorKey | str


class Job(NamedTuple):
    """One probe of one object."""

    key: Key
    purpose: Purpose


class Lanes:
    """Two queues of jobs. A tool that took long the last time is asked from the second one, and keeps no other waiting.

    In each, and at each tool, namespaces take turns.

    `origin` tells which server a job asks now, None if it asks no server any more.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        clock: Clock,
        jitter: Callable[[], float],
        origin: Callable[[Job], Origin | None],
    ) -> None:
        self._settings = settings
        self._origin = origin
        # Half of the places for one namespace: with a thousand tools that do not answer, it delays no other's probes.
        self._queue = WorkQueue(clock, jitter, Turns(_namespace, max(settings.at_once // 2, 1)))
        self._slow_queue = WorkQueue(clock, jitter, Turns(_namespace, max(settings.slow_at_once // 2, 1)))
        self._slow: set[Origin] = set()
        self._running: set[Job] = set()
        self._again: set[Job] = set()
        self._origins: Origins[Job] = Origins(settings.per_origin, _namespace)

    def add(self, job: Job) -> None:
        """Have it worked on as soon as it may be."""
        self._queue.add(job)

    def add_after(self, job: Job, seconds: float) -> None:
        """Have it worked on in that many seconds; of several delays the shortest counts."""
        self._queue.add_after(job, seconds)

    def took(self, origin: Origin, seconds: float) -> None:
        """How long a server took: by that it is asked from one queue or the other the next time."""
        if seconds >= SLOW:
            self._slow.add(origin)
        else:
            self._slow.discard(origin)

    def forget_slow(self) -> None:
        """Some may not be any Connector's tools now; the others are found out again."""
        self._slow.clear()

    def clear(self) -> None:
        """Drop everything. Only while `run` does not run."""
        self._queue.clear()
        self._slow_queue.clear()
        self._slow.clear()
        self._again.clear()
        self._origins.clear()

    async def run(self, work: Callable[[Job], Awaitable[None]], waits: Callable[[Job], None]) -> None:
        """Call `work` with each job whose turn it is, until cancelled, and `waits` with one that stands in line."""

        async def once(job: Job) -> None:
            await self._once(job, work, waits)

        async def sort(job: Job) -> None:
            if self._origin(job) in self._slow:
                self._slow_queue.add(job, first=self._origins.keeps(job))
                # A line too: it may take longer than anybody should believe what was found before.
                waits(job)
            else:
                await once(job)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._queue.run(self._settings.at_once, sort))
            tasks.create_task(self._slow_queue.run(self._settings.slow_at_once, once))

    async def _once(self, job: Job, work: Callable[[Job], Awaitable[None]], waits: Callable[[Job], None]) -> None:
        """One job at a time, from the queue that has one."""
        if job in self._running:
            self._again.add(job)
            return
        self._running.add(job)
        try:
            await self._turn(job, work, waits)
        finally:
            self._running.discard(job)
            if job in self._again:
                self._again.discard(job)
                self._queue.add(job)

    async def _turn(self, job: Job, work: Callable[[Job], Awaitable[None]], waits: Callable[[Job], None]) -> None:
        origin = self._origin(job)
        self._name(self._origins.decline(job, origin))
        if origin is None:
            return
        if not self._origins.enter(origin, job):
            waits(job)
            return
        try:
            await work(job)
        finally:
            self._name(self._origins.leave(origin))

    def _name(self, job: Job | None) -> None:
        if job is not None:
            # Before others of its namespace: while it waits, its place at the tool is empty.
            self._queue.add(job, first=True)


def _namespace(job: Job) -> str:
    """Of a Connector; classes, whose APIs are asked too, are together."""
    return job.key.namespace if isinstance(job.key, ConnectorKey) else ""
