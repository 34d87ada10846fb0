"""Builds every object of the data plane, in one place; nothing here is a singleton."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

from prometheus_client import CollectorRegistry

from connectors.dial.dialer import Dialer
from connectors.kube.access_review import Api
from connectors.objects.connector import ConnectorKey
from connectors.plan import Plan
from connectors.process.clock import Clock, SystemClock
from connectors.process.listening import Shared
from connectors.snapshot import Snapshot
from connectors.sources.store import SnapshotStore
from connectors.tls.loading import KeyPairError
from connectors.tls.serving import Mounted, PairFiles, Serving
from proxy.audit.access_log import AccessLog
from proxy.audit.audit import Audit
from proxy.audit.audit_file import AuditFile
from proxy.audit.audit_log import AuditLog
from proxy.callers.identity import CallerIdentity, CallerReviewer, TokenSecrets
from proxy.callers.kubernetes import KubernetesReviewer
from proxy.exchange import Exchange, Parts
from proxy.loops import Loops
from proxy.metrics import ProxyAuthorityMetrics, ProxyMetrics
from proxy.outbox import Outbox
from proxy.relay import Bounds
from proxy.scrub import ClientSide
from proxy.server import Server
from proxy.settings import ClientAuth, ListenerTls, ProxySettings, Timeouts
from proxy.upstream import Upstreams, is_current, outdated_pools
from proxy.watchdog import Watchdog


class _Logs(NamedTuple):
    access: AccessLog
    audit: AuditLog | None


class _Beside(NamedTuple):
    """What works beside the connections. `certificate` is shown to clients, None over plain HTTP."""

    logs: _Logs
    loops: Loops
    certificate: Mounted | None


class Proxy:
    """The data plane as one thing that starts and drains."""

    def __init__(
        self,
        settings: ProxySettings,
        server: Server,
        upstreams: Upstreams,
        watchdog: Watchdog,
        beside: _Beside,
    ) -> None:
        self._settings = settings
        self._server = server
        self._upstreams = upstreams
        self._watchdog = watchdog
        self._logs, self._loops, self._certificate = beside
        self._following: asyncio.Task[None] | None = None

    def identify(self, identity: str) -> None:
        """Go on under this identity (proxy/loops.py). To be called before `start`."""
        self._loops.identify(identity)

    async def start(self, shared: Shared | None = None) -> None:
        """Begin to serve, on `shared` sockets if they are given.

        Raises:
            OSError: the address cannot be listened on.
        """
        await self._server.start(shared)
        self._watchdog.start()
        if self._certificate:
            self._following = asyncio.create_task(self._certificate.run())

    async def serving(self) -> None:
        """Wait until it serves, which it does behind `start`."""

    def missing(self) -> str | None:
        """What it still waits for before it serves (a Readiness): nothing but `start`."""
        return None

    @property
    def port(self) -> int:
        """The port that is served on."""
        return self._server.port

    async def drain(self) -> None:
        """Stop accepting, finish what runs within the drain timeout, close every connection; logs also if cancelled."""
        try:
            await self._server.drain(self._settings.timeouts.drain)
            self._upstreams.close()
            self._watchdog.stop()
            if self._following:
                self._following.cancel()
        finally:
            self._logs.access.close()
            if self._logs.audit:
                self._logs.audit.close()

    async def stop(self) -> None:
        """End what is left behind a `drain` that was cut off: nothing, in this process."""

    def reopen_audit_log(self) -> None:
        """Go on in the file that bears the audit log's name now."""
        if self._logs.audit:
            self._logs.audit.reopen()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The API server that is asked about callers."""

    api: Api
    clock: Clock


def build_proxy(
    settings: ProxySettings,
    store: SnapshotStore,
    registry: CollectorRegistry,
    log_stream: TextIO = sys.stderr,
    cluster: Cluster | None = None,
    dialer: Dialer | None = None,
) -> Proxy:
    """Wire a proxy that serves the snapshots of `store`, registers metrics in `registry` and logs to `log_stream`.

    `cluster` is asked about callers, where the settings' client authentication is `kubernetes`. `dialer` is one that
    others in this process use too; without it the proxy has its own.

    Raises:
        AuditLogError: the audit log cannot be opened.
        KeyPairError: the certificate for clients cannot be served.
    """
    metrics = ProxyMetrics(registry)
    ProxyAuthorityMetrics(registry, lambda: store.authorities)
    if isinstance(reviewer := _reviewer(settings, cluster), KubernetesReviewer):
        metrics.auth_answers(reviewer.sources)
    certificate = _certificate(settings.tls, metrics)
    timeouts, watchdog = settings.timeouts, _watchdog(settings.timeouts)
    logs = _Logs(AccessLog(log_stream, settings.access_log), _audit_log(settings, metrics, watchdog))
    audit = Audit(metrics, logs.access, logs.audit)
    dials = dialer or Dialer(settings.dialing)
    upstreams = Upstreams(
        timeouts,
        watchdog,
        dials,
        lambda *end: server.is_own_address(*end),  # noqa: PLW0108 - made below
        lambda key: is_current(key, store.current),
    )
    parts = Parts(
        store=store,
        identity=CallerIdentity(reviewer),
        hosts=settings.hosts,
        isolation=settings.isolation,
        loops=(loops := Loops(settings.installation, settings.installation.identity or new_identity())),
        upstreams=upstreams,
        audit=audit,
        bounds=Bounds(settings.limits, timeouts, _client_side(settings)),
        outbox=(outbox := Outbox()),
    )
    store.subscribe((exchange := Exchange(parts)).serve)
    context = (lambda: certificate.context) if certificate else None
    server = Server(settings, watchdog, exchange, outbox, audit.malformed, context)
    metrics.connections(server.slots, lambda: (upstreams.active, upstreams.idle))
    _follow(store, metrics, dials, upstreams)
    return Proxy(settings, server, upstreams, watchdog, _Beside(logs, loops, certificate))


def _client_side(settings: ProxySettings) -> ClientSide:
    # Where no foreign page may ask, none may read: pages of one site share the browser's cache, and what the tool's
    # own page has put there they could read without a request, if the tool says `*`.
    dropped = frozenset({b"access-control-allow-origin"}) if settings.isolation else frozenset[bytes]()
    return ClientSide(settings.scheme, dropped)


def new_identity() -> str:
    """Of an installation that has none of its own: one process and its workers."""
    return secrets.token_hex(16)


def require_files(settings: ProxySettings) -> None:
    """Whether what the settings name can be opened, as build_proxy does.

    Raises:
        AuditLogError, KeyPairError: it cannot.
    """
    metrics = ProxyMetrics(CollectorRegistry())
    _certificate(settings.tls, metrics)
    if log := _audit_log(settings, metrics, _watchdog(settings.timeouts)):
        log.close()


def _follow(store: SnapshotStore, metrics: ProxyMetrics, dials: Dialer, upstreams: Upstreams) -> None:
    before: Mapping[ConnectorKey, Plan] = {}

    def serve_snapshot(snapshot: Snapshot) -> Iterator[None]:
        nonlocal before
        metrics.snapshot_serves(snapshot.generation, snapshot.changed, snapshot.plans)
        dials.contexts.keep_only(snapshot.client_tls)
        upstreams.note_change()
        plans, before = before, snapshot.plans
        return closing(plans, snapshot)

    def closing(plans: Mapping[ConnectorKey, Plan], snapshot: Snapshot) -> Iterator[None]:
        # No request takes from these pools any more, and nothing is given back to them: they only wait to be closed.
        for key in snapshot.changed:
            upstreams.close_idle(tuple(outdated_pools(plans.get(key), snapshot)))
            yield

    store.subscribe(serve_snapshot)


def _certificate(tls: ListenerTls | None, metrics: ProxyMetrics) -> Mounted | None:
    if tls is None:
        return None
    files = PairFiles(Path(tls.certificate), Path(tls.key))
    mounted = Mounted(files, Serving(metrics.serves_until, tls.minimum), SystemClock())
    try:
        mounted.load()
    except KeyPairError as error:
        raise KeyPairError(
            f"--tls-cert, --tls-key: {error}; give the files of a chain, its leaf first, and of its key, both in PEM"
        ) from None
    return mounted


def _watchdog(timeouts: Timeouts) -> Watchdog:
    """One that strikes no timeout late by more than a quarter of it."""
    return Watchdog(interval=min(1.0, min(timeouts.head, timeouts.first_byte, timeouts.idle) / 4))


def _reviewer(settings: ProxySettings, cluster: Cluster | None) -> CallerReviewer | None:
    match settings.client_auth:
        case ClientAuth.NONE:
            return None
        case ClientAuth.TOKEN:
            return TokenSecrets()
        case ClientAuth.KUBERNETES:
            if cluster is None:
                raise ValueError("client authentication by an API server needs one")
            return KubernetesReviewer(cluster.api, cluster.clock, settings.callers, settings.cluster_domain)


def _audit_log(settings: ProxySettings, metrics: ProxyMetrics, watchdog: Watchdog) -> AuditLog | None:
    if not settings.audit_log:
        return None
    audit_log = AuditLog(AuditFile(settings.audit_log, shared=settings.workers > 1), metrics.lose_audit_records)
    audit_log.open()
    watchdog.on_tick(audit_log.follow)
    return audit_log
