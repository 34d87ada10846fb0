"""The composition of `connectors serve`: source -> store -> proxy and status board -> admin port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector

from connectors.process.clock import timestamp
from connectors.process.health import AdminServer, health_routes
from connectors.process.heap import settle
from connectors.process.listening import cannot_listen
from connectors.process.parsers import HostPort
from connectors.sources.directory import DirectorySource
from connectors.sources.store import SnapshotStore
from proxy.audit_log import AuditLogError
from proxy.settings import ProxySettings
from proxy.wiring import build_proxy
from standalone.api import api_routes
from standalone.reload import Reloader
from standalone.status import Board, StatusBoard, localhost_url


class ServeError(Exception):
    """Serving cannot begin; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one command line asks for. `paths` are directories or files; a port 0 lets the kernel choose."""

    paths: tuple[Path, ...]
    admin: HostPort
    proxy: ProxySettings


class Service:
    """Everything of one standalone process, as one thing that starts and stops."""

    def __init__(self, plan: Plan) -> None:
        """Wire it.

        Raises:
            ServeError: the audit log cannot be opened.
        """
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._plan = plan
        self._store = SnapshotStore()
        try:
            self._proxy = build_proxy(plan.proxy, self._store, registry)
        except AuditLogError as error:
            raise ServeError(str(error)) from error
        self.reopen_audit_log = self._proxy.reopen_audit_log
        self._reloader = Reloader(DirectorySource(plan.paths, timestamp), self._store)
        self._reloading: asyncio.Task[None] | None = None
        self._board = StatusBoard(lambda key: localhost_url(key, self._proxy.port), timestamp)
        self._draining = False
        app = web.Application()
        app.add_routes([*health_routes([self._missing], registry), *api_routes(lambda: self._board.current)])
        self._admin = AdminServer(app, plan.admin)

    async def start(self) -> None:
        """Load the first snapshot, open both ports, begin to watch.

        Raises:
            ServeError: one of the ports cannot be listened on; nothing is left running.
        """
        await self._reloader.load()
        await _listen(self._proxy.start, HostPort(self._plan.proxy.host, self._plan.proxy.port), "--listen")
        # Only now: statuses name the port, which the kernel may have chosen.
        self._board.update(self._store.current)
        self._store.subscribe(self._board.update)
        try:
            await _listen(self._admin.start, self._plan.admin, "--admin")
        except ServeError:
            await self._proxy.drain()
            raise
        settle()
        self._store.subscribe(lambda _: settle())
        self._reloading = asyncio.create_task(self._reloader.run())

    async def drain(self) -> None:
        """Stop accepting and finish what runs, as long as the proxy's settings allow; /readyz says no meanwhile."""
        self._draining = True
        if self._reloading:
            self._reloading.cancel()
        await self._proxy.drain()

    async def stop(self) -> None:
        """Close the admin port, the last to go."""
        await self._admin.stop()
        if self._reloading:
            self._reloading.cancel()  # drain() may have been cut off before it began
            await asyncio.wait({self._reloading})

    @property
    def listen(self) -> HostPort:
        """Where clients reach the proxy; only after `start`."""
        return HostPort(self._plan.proxy.host, self._proxy.port)

    @property
    def admin(self) -> HostPort:
        """Where the admin port is; only after `start`."""
        return HostPort(self._plan.admin.host, self._admin.port)

    @property
    def board(self) -> Board:
        """The statuses now."""
        return self._board.current

    def _missing(self) -> str | None:
        if self._draining:
            return "shutting down"
        return None if self._board.current.generation else "the first complete snapshot"


async def _listen(start: Callable[[], Awaitable[None]], where: HostPort, flag: str) -> None:
    try:
        await start()
    except OSError as error:
        raise ServeError(cannot_listen(where, flag, error)) from error
