"""The data plane as several processes: this one follows the objects, its workers serve the traffic (operators.md)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.kube.access import Access
from connectors.process.listening import ABSENT, Counts, listen
from connectors.process.logs import Logging
from connectors.process.samples import Sums
from connectors.process.workers import Link, Workers, WorkersPlan
from connectors.snapshot import Changes
from connectors.sources.gathered import Recipients
from connectors.sources.store import SnapshotStore
from proxy.server import BACKLOG
from proxy.settings import ProxySettings, share_of
from proxy.wiring import new_identity, require_files
from proxy.worker_messages import FrameKind, WorkerSettings, encode_settings
from proxy.worker_talk import WorkerTalk

# What a worker runs.
MODULE = "proxy.worker"
# Seconds that a scrape waits for the workers' metrics. For one that does not answer its last ones count.
COUNT_DEADLINE = 2.0
# Seconds beyond the drain timeout, in which workers cut off what still runs and end by themselves.
DRAIN_GRACE = 5.0
# Seconds in which they do so when told to hurry.
CUT_GRACE = 2.0
# Gauges that say when something ends: of several workers' the first end counts.
LEAST = frozenset({"connectors_proxy_tls_certificate_expiry_seconds", "connectors_proxy_ca_certificate_expiry_seconds"})


@dataclass(frozen=True, slots=True)
class WorkerGroupSettings:
    """`proxy` is the whole's. `access`: the way to the API server, where workers ask it about callers."""

    proxy: ProxySettings
    logging: Logging
    access: Access | None = None


class WorkerMetrics(Collector):
    """What only the process that was started knows: its workers, and what all of them serve."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = 0
        self.restarts = 0
        self._generation = 0
        self._serving_since = time.monotonic()
        registry.register(self)

    def all_serve(self, generation: int) -> None:
        """Every worker that serves, serves this snapshot or a later one."""
        if generation != self._generation:
            self._generation, self._serving_since = generation, time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Every family (prometheus_client's Collector)."""
        yield GaugeMetricFamily("connectors_proxy_workers", "Worker processes that serve.", value=self.running)
        yield CounterMetricFamily(
            "connectors_proxy_worker_restarts",
            "Workers that were started in place of one that had ended by itself.",
            value=self.restarts,
        )
        yield GaugeMetricFamily(
            "connectors_proxy_snapshot_generation", "How many snapshots have served so far.", value=self._generation
        )
        age = time.monotonic() - self._serving_since
        yield GaugeMetricFamily(
            "connectors_proxy_snapshot_age_seconds", "Since the current snapshot began to serve.", value=age
        )


class ProxyWorkers:
    """Starts and drains as one Proxy does (proxy/wiring.py)."""

    def __init__(self, settings: WorkerGroupSettings, store: SnapshotStore, registry: CollectorRegistry) -> None:
        """`store` has no snapshot yet. `registry` has this process's metrics; `self.registry` those of all.

        Raises:
            AuditLogError: the audit log cannot be opened.
            KeyPairError: the certificate for clients cannot be served.
        """
        require_files(settings.proxy)
        self._settings = settings
        # Here, not in each worker: a loop meets another of them at each turn.
        self.identify(settings.proxy.installation.identity or new_identity())
        self._metrics = WorkerMetrics(registry)
        self._sums = Sums(registry, LEAST)
        self.registry = CollectorRegistry()
        self.registry.register(self._sums)
        self._recipients = Recipients(store, self._changed)
        self._talks: dict[int, WorkerTalk] = {}
        self._serve: dict[int, int] = {}
        self._complete = asyncio.Event()
        self._listeners: list[socket.socket] = []
        self._counts: Counts | None = None
        self._workers: Workers | None = None
        self._draining = False

    def identify(self, identity: str) -> None:
        """See Proxy (proxy/wiring.py)."""
        proxy = self._settings.proxy
        installation = replace(proxy.installation, identity=identity)
        self._settings = replace(self._settings, proxy=replace(proxy, installation=installation))

    async def start(self) -> None:
        """Listen, and start the workers; `serving` waits for them. Connections wait in the queue meanwhile.

        Raises:
            OSError: the address cannot be listened on.
        """
        proxy = self._settings.proxy
        self._listeners = await listen(proxy.host, proxy.port, BACKLOG)
        self._counts = Counts.make(proxy.workers)
        descriptors = (*(listener.fileno() for listener in self._listeners), self._counts.descriptor)
        plan = WorkersPlan(MODULE, proxy.workers, descriptors, proxy.timeouts.drain + DRAIN_GRACE)
        self._workers = Workers(plan, self._converse, self._ended)
        self._workers.start()

    async def serving(self) -> None:
        """Wait until every worker has served the current snapshot."""
        await self._complete.wait()

    def missing(self) -> str | None:
        """What this process still waits for (a Readiness). One worker that is restarted does not count."""
        if not self._complete.is_set():
            return f"workers that serve: {len(self._serve)} of {self._settings.proxy.workers} do"
        return None if self._serve else "a worker that serves"

    @property
    def port(self) -> int:
        """The port that is served on."""
        return int(self._listeners[0].getsockname()[1])

    async def gather(self) -> None:
        """Have the workers' metrics in `registry`, as far as they answer in time."""
        if asked := [talk.count() for talk in self._talks.values()]:
            await asyncio.wait(asked, timeout=COUNT_DEADLINE)
        self._metrics.running = len(self._serve)
        self._metrics.restarts = self._workers.restarts if self._workers else 0

    def reopen_audit_log(self) -> None:
        """Have each worker go on in the file that bears the audit log's name now."""
        self._tell(FrameKind.REOPEN)

    async def drain(self) -> None:
        """Stop accepting, and wait until every worker has finished what runs, within the drain timeout."""
        if self._workers is None:
            return
        self._draining = True
        self._workers.no_more()
        for listener in self._listeners:
            listener.close()
        self._tell(FrameKind.DRAIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.proxy.timeouts.drain + DRAIN_GRACE):
                await self._workers.ended()

    async def stop(self) -> None:
        """End what is left of the workers: nothing behind a `drain` that came to its end."""
        if self._workers is None:
            return
        self._draining = True
        self._workers.no_more()
        self._tell(FrameKind.END)
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_GRACE):
                await self._workers.ended()
        await self._workers.kill()

    def _tell(self, kind: FrameKind) -> None:
        for talk in self._talks.values():
            talk.tell(kind)

    async def _converse(self, link: Link) -> None:
        if self._draining:
            return
        link.frames.send(FrameKind.SETTINGS, encode_settings(self._settings_of(link.number)))
        recipient = self._recipients.join()
        talk = self._talks[link.number] = WorkerTalk(link, recipient, self._served, self._sums.told)
        try:
            await talk.run()
        finally:
            self._recipients.leave(recipient)
            del self._talks[link.number]

    def _settings_of(self, number: int) -> WorkerSettings:
        settings = self._settings
        return WorkerSettings(
            number=number,
            listeners=tuple(listener.fileno() for listener in self._listeners),
            counts=self._counts.descriptor if self._counts else -1,
            logging=settings.logging,
            proxy=share_of(settings.proxy),
            access=settings.access,
        )

    def _served(self, number: int, generation: int) -> None:
        self._serve[number] = generation
        oldest = min(self._serve.values())
        self._metrics.all_serve(oldest)
        if len(self._serve) == self._settings.proxy.workers and oldest == self._recipients.generation:
            self._complete.set()

    def _ended(self, number: int) -> None:
        self._serve.pop(number, None)
        self._sums.ended(number)
        if self._counts:
            self._counts.set(number, ABSENT)

    def _changed(self, changes: Changes) -> None:
        # All at once: there may be thousands, and for each call every series is looked at.
        if gone := {tuple(key) for key, connector in changes.connectors.items() if connector is None}:
            self._sums.forget(gone, ("namespace", "connector"))
