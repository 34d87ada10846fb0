"""The real data plane inside of the test's process and event loop, on a port of the kernel's choice."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

from prometheus_client import CollectorRegistry, generate_latest

from connectors.dial.dialer import Dialer
from connectors.snapshot import Wanted
from connectors.sources.store import SnapshotStore
from proxy.settings import ProxySettings
from proxy.wiring import Cluster, Proxy, build_proxy
from tests.peers.manifests import Manifest
from tests.peers.objects import objects_of


class _AnyHost(frozenset[str]):
    """Names of all kinds reach it: a transcript writes c-NAME.NS, as in a cluster, or a host that names nothing."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class InnerProxy:
    """A running proxy with what a test looks at from behind."""

    proxy: Proxy
    store: SnapshotStore
    registry: CollectorRegistry
    stream: io.StringIO

    @property
    def log(self) -> io.StringIO:
        """The access log, with all that is to be in it."""
        self.flush()
        return self.stream

    def flush(self) -> None:
        """Let the access log write the lines that wait for more of them."""
        self.proxy._logs.access.flush()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.proxy.port

    def swap(self, *manifests: Manifest) -> None:
        """Let other objects serve."""
        self.store.swap(objects_of(*manifests))

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value; 0 where there is none."""
        return self.registry.get_sample_value(name, labels) or 0.0

    @property
    def exposition(self) -> str:
        """What /metrics shows."""
        return generate_latest(self.registry).decode()


async def start_inner_proxy(
    *manifests: Manifest,
    settings: ProxySettings | None = None,
    cluster: Cluster | None = None,
    dialer: Dialer | None = None,
) -> InnerProxy:
    """Serve these manifests; end it with `proxy.drain()`. `cluster` is asked about callers, `dialer` for addresses.

    Where the settings allow some hosts by name (--allow-host), others are refused as everywhere.
    """
    settings = replace(settings or ProxySettings(), port=0)
    settings = replace(settings, allow_hosts=settings.allow_hosts or _AnyHost())
    store = SnapshotStore(Wanted(proxies=settings.dialing.egress.compiled()))
    registry, log = CollectorRegistry(), io.StringIO()
    proxy = build_proxy(settings, store, registry, log, cluster, dialer)
    store.swap(objects_of(*manifests))
    await proxy.start()
    return InnerProxy(proxy, store, registry, log)
