"""What a process in a cluster is made of, proxy and controller alike: API client, source, store, admin port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from connectors.admin_isolation import admin_isolation
from connectors.dial.egress_settings import EgressSettings
from connectors.kube.access import Access, AccessError
from connectors.kube.client import KubeClient
from connectors.kube.errors import KubeError
from connectors.kube.metrics import KubeMetrics
from connectors.kube.resources import NAMESPACES, metadata_of
from connectors.kube.settings import USUAL_PORTS, ClusterOptions
from connectors.process.clock import SystemClock
from connectors.process.health import AdminServer, Readiness, Shown, health_routes
from connectors.process.heap import Settling, growing, settle
from connectors.process.parsers import HostPort
from connectors.process.run import VERSION, cannot_listen
from connectors.snapshot import EVERYTHING, Wanted
from connectors.sources.cluster import ClusterSource
from connectors.sources.own_addresses import OwnAddresses
from connectors.sources.store import SnapshotStore
from connectors.sources.upstream_logins import UpstreamLogins

logger = logging.getLogger("connectors.process")


class StartError(Exception):
    """The process cannot begin its work; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """`name` is the component's name, for metrics and the User-Agent.

    `token_secrets`: whether the tokens of Secrets of type kubernetes.io/service-account-token are wanted.
    `wanted`: what the process makes of each Connector. `ports`: where it listens, beside the admin port; `allow_hosts`:
    further names of that one's. `egress`: the proxies on the way to tools.
    """

    name: str
    access: Access
    options: ClusterOptions
    token_secrets: bool = False
    wanted: Wanted = EVERYTHING
    ports: tuple[int, ...] = ()
    allow_hosts: frozenset[str] = frozenset()
    egress: EgressSettings = field(default_factory=EgressSettings)


class ClusterProcess:
    """Starts and stops together; in between the store follows the API server."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.clock = SystemClock()
        self.client = KubeClient(settings.access, user_agent=f"connectors/{VERSION} ({settings.name})")
        self.store = SnapshotStore(replace(settings.wanted, proxies=settings.egress.compiled()), large=growing)
        self.source = ClusterSource(
            self.client,
            settings.options.names.namespace,
            self.store,
            self.clock,
            token_secrets=settings.token_secrets,
            cluster_domain=settings.options.names.cluster_domain,
        )
        egress = settings.egress
        self.source.follow_logins(UpstreamLogins(egress.files, self.clock), egress.secrets)
        self._settings = settings
        self._draining = False
        self._tell_identity: list[Callable[[str], None]] = []
        self._settling = Settling()
        self._following: asyncio.Task[None] | None = None
        self.kube_metrics = KubeMetrics(
            self.registry, f"connectors_{settings.name}", self.client, self.source.reflectors
        )
        own = OwnAddresses(self.client, settings.options.names, _ports(settings), self.clock, self.kube_metrics.follow)
        self.source.keep_off(own)
        self._waits: list[Readiness] = [self._drains, self.source.missing]
        app = web.Application(middlewares=[admin_isolation(settings.options.admin, settings.allow_hosts)])
        self.shown = Shown(self.registry)
        app.add_routes(health_routes(self._waits, self.shown, self.source.details))
        self._admin = AdminServer(app, settings.options.admin)

    @property
    def admin(self) -> HostPort:
        """Where the admin port is; only after `start`."""
        return HostPort(self._settings.options.admin.host, self._admin.port)

    async def start(self, *work: Coroutine[Any, Any, None]) -> None:
        """Open the admin port, which says at once that nothing is ready, and follow the API server; `work` beside it.

        Raises:
            StartError: there is no access to an API server, or the port is taken; nothing is left running.
        """
        try:
            await self._open()
        except StartError:
            for item in work:
                item.close()
            raise
        logger.info("admin port on http://%s", self.admin)
        self._following = asyncio.create_task(self._follow(work))

    async def wait(self, event: asyncio.Event) -> None:
        """Wait until `event` is set.

        Raises:
            Exception: what follows the API server failed, which must not happen: the process should end.
        """
        waiting = asyncio.create_task(event.wait())
        following = self._following
        await asyncio.wait({waiting, following} if following else {waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if following and following.done():
            following.result()

    async def wait_ready(self, stop: asyncio.Event) -> bool:
        """Wait until the first complete snapshot serves. False if `stop` was set before."""
        either = asyncio.Event()
        self.store.subscribe(lambda _: either.set())
        stopping = asyncio.create_task(_pass_on(stop, either))
        if not self.store.ready:
            await self.wait(either)
        stopping.cancel()
        if self.store.ready:
            settle()
            self.store.subscribe(lambda _: self._settling.soon())
        return self.store.ready

    async def identity(self) -> str | None:
        """The UID of the system namespace, which all processes of the installation have in common; None if unknown."""
        namespace = self._settings.options.names.namespace
        try:
            identity = metadata_of(await self.client.get(NAMESPACES, namespace)).uid or None
        except KubeError as error:
            logger.warning(
                "namespace %s cannot be read, so that loops through several replicas end only after some hops; give "
                "this program's role `get` on it: %s",
                namespace,
                error,
            )
            return None
        if identity:
            for tell in self._tell_identity:
                tell(identity)
        return identity

    def on_identity(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the identity, once it is known."""
        self._tell_identity.append(tell)

    def also_missing(self, readiness: Readiness) -> None:
        """Add something that /readyz waits for."""
        self._waits.append(readiness)

    def drain(self) -> None:
        """From now on /readyz says no."""
        self._draining = True

    async def stop(self) -> None:
        """Stop following, close the admin port and every connection to the API server."""
        if self._following:
            self._following.cancel()
            await asyncio.wait({self._following})
        self._settling.stop()
        await self._admin.stop()
        await self.client.close()

    async def _open(self) -> None:
        try:
            await self.client.start()
        except AccessError as error:
            raise StartError(str(error)) from error
        try:
            await self._admin.start()
        except OSError as error:
            await self.client.close()
            raise StartError(cannot_listen(self._settings.options.admin, "--admin", error)) from error

    async def _follow(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for item in (self.source.run(), *work):
                tasks.create_task(item)

    def _drains(self) -> str | None:
        return "shutting down" if self._draining else None


def _ports(settings: ClusterSettings) -> frozenset[int]:
    """On which pods of the installation listen: of the other process's pods it is not known what they were told."""
    return USUAL_PORTS.union(settings.ports, (settings.options.admin.port,)) - {0}


async def _pass_on(event: asyncio.Event, to: asyncio.Event) -> None:
    await event.wait()
    to.set()
