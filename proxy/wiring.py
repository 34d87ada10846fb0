"""Builds every object of the data plane, in one place; nothing here is a singleton."""

from __future__ import annotations

import sys
from typing import TextIO

from prometheus_client import CollectorRegistry

from connectors.snapshot import Snapshot
from connectors.sources.store import SnapshotStore
from connectors.trust import system_trust
from proxy.access_log import AccessLog
from proxy.audit import Audit
from proxy.exchange import Exchange, Parts
from proxy.host_form import HostForm
from proxy.identity import Identity, Reviewer
from proxy.metrics import ProxyMetrics
from proxy.relay import Terms
from proxy.scrub import ClientSide
from proxy.server import Server
from proxy.settings import ProxySettings
from proxy.upstream import Upstreams
from proxy.watchdog import Watchdog


class Proxy:
    """The data plane as one thing that starts and drains."""

    def __init__(self, settings: ProxySettings, server: Server, upstreams: Upstreams, watchdog: Watchdog) -> None:
        self._settings = settings
        self._server = server
        self._upstreams = upstreams
        self._watchdog = watchdog

    async def start(self) -> None:
        """Begin to serve.

        Raises:
            OSError: the address cannot be listened on.
        """
        await self._server.start()
        self._watchdog.start()

    @property
    def port(self) -> int:
        """The port that is served on."""
        return self._server.port

    async def drain(self) -> None:
        """Stop accepting, finish what runs within the drain timeout, close every connection."""
        await self._server.drain(self._settings.timeouts.drain)
        self._upstreams.close()
        self._watchdog.stop()


def build_proxy(
    settings: ProxySettings,
    store: SnapshotStore,
    registry: CollectorRegistry,
    log_stream: TextIO = sys.stderr,
    reviewer: Reviewer | None = None,
) -> Proxy:
    """Wire a proxy that serves the snapshots of `store`, registers metrics in `registry` and logs to `log_stream`.

    `reviewer` tells whose tokens are, where the settings' client authentication is `kubernetes`.
    """
    metrics = ProxyMetrics(registry)
    timeouts = settings.timeouts
    watchdog = Watchdog(interval=min(1.0, min(timeouts.head, timeouts.first_byte, timeouts.idle) / 4))
    audit = Audit(metrics, AccessLog(log_stream, settings.access_log))
    hosts = HostForm(settings.cluster_domain, localhost=settings.localhost_names)
    upstreams = Upstreams(timeouts, watchdog, lambda *end: server.is_own_address(*end))  # noqa: PLW0108 - made below
    metrics.connections(lambda: (upstreams.active, upstreams.idle))
    parts = Parts(
        store=store,
        identity=Identity(settings.client_auth, reviewer),
        hosts=hosts,
        upstreams=upstreams,
        trust=system_trust(),
        audit=audit,
        terms=Terms(settings.limits, timeouts, ClientSide()),
    )
    server = Server(settings, watchdog, Exchange(parts).handle, audit.malformed)

    def serve_snapshot(snapshot: Snapshot) -> None:
        metrics.snapshot_serves(snapshot.generation, snapshot.bindings.keys())
        current = {(key, binding.connector.metadata.uid) for key, binding in snapshot.bindings.items()}
        upstreams.keep_only(lambda key: (key.connector, key.uid) in current)

    store.subscribe(serve_snapshot)
    return Proxy(settings, server, upstreams, watchdog)
