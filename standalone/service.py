"""The composition of `connectors serve`: source -> store -> proxy and status board -> admin port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from random import SystemRandom
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from connectors.admin_isolation import admin_isolation
from connectors.dial.dialer import Dialer
from connectors.objects.connector import ConnectorKey
from connectors.objects.violation import Severity
from connectors.process.clock import SystemClock, timestamp
from connectors.process.health import AdminServer, Shown, health_routes
from connectors.process.heap import Settling, filling, growing
from connectors.process.logs import Logging
from connectors.process.parsers import HostPort
from connectors.process.run import cannot_listen
from connectors.snapshot import Changes, Snapshot, Wanted
from connectors.sources.directory import DirectorySource
from connectors.sources.loaded import Ignored, Loaded
from connectors.sources.place import Problem
from connectors.sources.store import SnapshotStore
from connectors.sources.upstream_logins import UpstreamLogins
from connectors.tls.loading import KeyPairError
from controller.probes.client import ProbeClient
from controller.probes.metrics import ProbeMetrics
from controller.probes.prober import Prober, ProberSurroundings
from controller.probes.schedule import ProbeSettings
from proxy.audit.audit_log import AuditLogError
from proxy.settings import ProxySettings
from proxy.wiring import Proxy, build_proxy, new_identity
from proxy.workers import ProxyWorkers, WorkerGroupSettings
from standalone.api import api_routes, probe_routes
from standalone.findings import Findings
from standalone.status import Board, StatusBoard, localhost_url

logger = logging.getLogger("connectors.manifests")

# Seconds before watching is tried again; doubled with each failure in a row.
FIRST_PAUSE = 0.5
# Seconds: a volume that went away may stay so for long, but its return must not wait for minutes.
LONGEST_PAUSE = 30.0

_LEVELS = {Severity.ERROR: logging.ERROR, Severity.WARNING: logging.WARNING}


class Source(Protocol):
    """Where objects come from."""

    def load(self) -> Loaded:
        """Everything there is now; may block."""

    def watch(self) -> AsyncIterator[Loaded]:
        """What has changed, whenever something has."""


class Reloader:
    """Brings what the source says into the store, and says what is wrong once per change, while the process lives."""

    def __init__(
        self,
        source: Source,
        store: SnapshotStore,
        first_pause: float = FIRST_PAUSE,
        logins: UpstreamLogins | None = None,
    ) -> None:
        """`first_pause`: seconds before watching is tried again after a failure. `logins`: of upstream proxies."""
        self._source = source
        self._logins = logins
        # A store follows one change at a time, and files of logins change by themselves.
        self._following = asyncio.Lock()
        self._store = store
        self._first_pause = first_pause
        self._findings = Findings()
        store.subscribe(self._findings.follow)
        self._said: frozenset[str] = frozenset()
        self._ignored: frozenset[str] = frozenset()

    async def load(self) -> None:
        """Read everything now and serve it."""
        await self._serve(await asyncio.to_thread(self._source.load))

    async def run(self) -> None:
        """Serve each change. Never ends by itself: after a failure it reads everything again and goes on."""
        pause, failed = self._first_pause, False
        while True:
            try:
                if failed:
                    await self.load()
                async for loaded in self._source.watch():
                    await self._serve(loaded)
                    pause = self._first_pause
            except Exception:
                logger.exception("watching the manifests failed; the last good ones serve, next try in %g s", pause)
            failed = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def follow_logins(self) -> None:
        """Serve each change of a login too. Never ends by itself."""
        changed = asyncio.Event()
        if self._logins is None:
            return
        self._logins.subscribe(changed.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._logins.run())
            while True:
                async with self._following:
                    if (logins := self._logins.taken()) is not None:
                        await self._store.follow(Changes(logins=logins))
                await changed.wait()
                changed.clear()

    async def _serve(self, loaded: Loaded) -> None:
        async with self._following:
            logins = self._logins.taken() if self._logins else None
            news = loaded.objects if loaded.changes is None else loaded.changes
            snapshot = await self._store.follow(replace(news, logins=logins))
        self._say(self._findings.problems(loaded, snapshot))
        self._name(loaded.ignored)

    def _say(self, problems: Iterable[Problem]) -> None:
        """Log what is new and what has gone: a file that stays wrong must not fill the log."""
        now = {str(problem): problem for problem in problems}
        for text, problem in now.items():
            if text not in self._said:
                logger.log(_LEVELS[problem.severity], "%s", text)
        for text in sorted(self._said - now.keys()):
            logger.info("no longer: %s", text)
        self._said = frozenset(now)

    def _name(self, ignored: Iterable[Ignored]) -> None:
        for kind, file in ignored:
            if kind not in self._ignored:
                logger.info("%s: objects of kind %s are not read here and are left alone", file, kind)
                self._ignored |= {kind}


class ServeError(Exception):
    """Serving cannot begin; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """`paths` are directories or files; a port 0 lets the kernel choose."""

    paths: tuple[Path, ...]
    admin: HostPort
    proxy: ProxySettings
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    logging: Logging = field(default_factory=Logging)


class Service:
    """Everything of one standalone process, as one thing that starts and stops."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Wire it.

        Raises:
            ServeError: the audit log cannot be opened, or the certificate for clients cannot be served.
        """
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        settings = self._settings = _identified(settings)
        egress = settings.proxy.dialing.egress
        self._store = SnapshotStore(Wanted(hosts=settings.proxy.hosts, proxies=egress.compiled()), large=growing)
        dialer = Dialer(settings.proxy.dialing)
        self._proxy, shown = self._traffic(registry, dialer)
        self.reopen_audit_log = self._proxy.reopen_audit_log
        logins = UpstreamLogins(egress.files, SystemClock())
        self._reloader = Reloader(DirectorySource(settings.paths, timestamp), self._store, logins=logins)
        self._running: list[asyncio.Task[None]] = []
        self._sender = ProbeClient(dialer, settings.proxy.installation.published)
        self._sender.identify(settings.proxy.installation.identity)
        self._prober = Prober(
            ProberSurroundings(self._sender, None, SystemClock(), SystemRandom().random, ProbeMetrics(registry)),
            settings.probes,
            self._probed,
        )
        self._news = asyncio.Event()
        self._board = StatusBoard(self._url, timestamp, self._prober.probes)
        self._draining = False
        self._settling = Settling()
        app = web.Application(middlewares=[admin_isolation(settings.admin, settings.proxy.allow_hosts)])
        app.add_routes(health_routes([self._missing, self._proxy.missing], shown))
        app.add_routes(probe_routes(self._prober, self._board))
        app.add_routes(api_routes(lambda: self._board.current))
        self._admin = AdminServer(app, settings.admin)

    async def start(self) -> None:
        """Load the first snapshot, open both ports, begin to watch.

        Raises:
            ServeError: one of the ports cannot be listened on; nothing is left running.
        """
        with filling():
            await self._reloader.load()
        await _listen(self._proxy.start, HostPort(self._settings.proxy.host, self._settings.proxy.port), "--listen")
        # Only now: statuses name the port, which the kernel may have chosen.
        await self._store.join(self._follow)
        try:
            await _listen(self._admin.start, self._settings.admin, "--admin")
        except ServeError:
            await self._proxy.drain()
            raise
        self._store.subscribe(lambda _: self._settling.soon())
        work = (self._reloader.run(), self._reloader.follow_logins(), self._prober.run())
        self._running = [asyncio.create_task(each) for each in work]

    async def serving(self) -> None:
        """Wait until all of it serves."""
        await self._proxy.serving()

    async def first_probes(self, seconds: float) -> None:
        """Wait until everything was probed once, that many seconds at most: tools may be slow, or away."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._prober.complete:
                    self._news.clear()
                    await self._news.wait()

    async def drain(self) -> None:
        """Stop accepting and finish what runs, as long as the proxy's settings allow; /readyz says no meanwhile."""
        self._draining = True
        self._end()
        await self._proxy.drain()

    async def stop(self) -> None:
        """Close the admin port, the last to go."""
        await self._admin.stop()
        self._end()  # drain() may have been cut off before it began
        if self._running:
            await asyncio.wait(self._running)
        self._sender.close()
        await self._proxy.stop()

    @property
    def listen(self) -> HostPort:
        """Where clients reach the proxy; only after `start`."""
        return HostPort(self._settings.proxy.host, self._proxy.port)

    @property
    def url(self) -> str:
        """The same as a URL."""
        return f"{self._settings.proxy.scheme}://{self.listen}"

    @property
    def admin(self) -> HostPort:
        """Where the admin port is; only after `start`."""
        return HostPort(self._settings.admin.host, self._admin.port)

    @property
    def board(self) -> Board:
        """The statuses now."""
        return self._board.current

    def _traffic(self, registry: CollectorRegistry, dialer: Dialer) -> tuple[Proxy | ProxyWorkers, Shown]:
        settings = self._settings
        try:
            if settings.proxy.workers > 1:
                workers = ProxyWorkers(WorkerGroupSettings(settings.proxy, settings.logging), self._store, registry)
                return workers, Shown(workers.registry, workers.gather)
            return build_proxy(settings.proxy, self._store, registry, dialer=dialer), Shown(registry)
        except (AuditLogError, KeyPairError) as error:
            raise ServeError(str(error)) from error

    def _follow(self, snapshot: Snapshot) -> Iterator[None]:
        """Update the probes before the statuses: a status must not tell of an earlier Secret."""
        return chain(self._prober.following(snapshot), self._board.follow(snapshot))

    def _probed(self, key: ConnectorKey | str) -> None:
        self._board.refresh(key)
        self._news.set()

    def _url(self, key: ConnectorKey) -> str:
        return localhost_url(key, self._proxy.port, self._settings.proxy.scheme)

    def _end(self) -> None:
        self._settling.stop()
        for task in self._running:
            task.cancel()

    def _missing(self) -> str | None:
        if self._draining:
            return "shutting down"
        return None if self._board.current.generation else "the first complete snapshot"


def _identified(settings: ServiceSettings) -> ServiceSettings:
    """With an identity that traffic and probes have in common."""
    installation = replace(settings.proxy.installation, identity=settings.proxy.installation.identity or new_identity())
    return replace(settings, proxy=replace(settings.proxy, installation=installation))


async def _listen(start: Callable[[], Awaitable[None]], where: HostPort, flag: str) -> None:
    try:
        await start()
    except OSError as error:
        raise ServeError(cannot_listen(where, flag, error)) from error
