"""The data plane's settings as frozen values. standalone/ and the proxy's own command line fill them from flags."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from connectors.dial.dial_settings import DialSettings
from connectors.dial.guard import DialGuard
from connectors.objects.names import HostForm
from connectors.tls.pool import TlsVersion


class ClientAuth(StrEnum):
    """How callers prove who they are."""

    NONE = "none"
    TOKEN = "token"  # noqa: S105 - a mode's name
    KUBERNETES = "kubernetes"


class AccessLogFormat(StrEnum):
    """How access-log lines look; OFF writes none."""

    OFF = "off"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes beyond which a message is refused.

    head_bytes: a request's or response's head. nginx allows 32 KiB, Go 1 MiB, Envoy 60 KiB: 64 KiB takes Kerberos
    tickets and large cookies, and one connection cannot hold much memory.
    target_bytes: the request-target. nginx and Apache stop at 8 KiB; package managers were seen above that.
    header_count: fields of one head; Envoy allows 100, Node 2,000.
    connections: of clients at once. With heads of 64 KiB that nobody finishes these are 256 MiB at the worst; a
    pipeline's client has a handful, and nginx's examples say 1,024 for each of its processes.
    """

    head_bytes: int = 64 * 1024
    target_bytes: int = 16 * 1024
    header_count: int = 128
    connections: int = 4096


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.

    head: from a request head's first byte to its last. connect: DNS, TCP and TLS toward the tool. first_byte: from the
    last byte that moved to the response's head. idle: between two bytes of a body, and in a tunnel. keep_alive: an idle
    client connection. upstream_idle: an unused upstream connection. drain: running requests after SIGTERM.
    """

    head: float = 30.0
    connect: float = 10.0
    first_byte: float = 300.0
    idle: float = 300.0
    keep_alive: float = 75.0
    upstream_idle: float = 60.0
    drain: float = 30.0


@dataclass(frozen=True, slots=True)
class CallerSettings:
    """How callers are asked about, where the API server is. Durations in seconds.

    cache_ttl: that an answer counts, and so how long a revoked token or role still works. stale_if_error: that a caller
    who was let in is let in without an answer while the API server is away (0: not at all): longer than it takes to
    restart one. require_audience: only tokens minted for a Connector's proxy URL. failure_rate: refused tokens and
    permissions a second from one client address, beyond which unknown tokens of it get 429 (0: no limit).
    """

    cache_ttl: float = 10.0
    stale_if_error: float = 300.0
    require_audience: bool = False
    failure_rate: float = 10.0


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """TLS toward clients. `certificate` and `key` are paths of PEM files, `minimum` is the lowest version spoken."""

    certificate: str
    key: str
    minimum: TlsVersion = TlsVersion.TLS_1_2


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything proxy/wiring.py needs to know; the defaults are those of `connectors serve`, a laptop's.

    `port` 0 lets the kernel choose. `audit_log` is a file's path, `-` for standard output, empty for none.
    Without `tls` clients speak plain HTTP.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    client_auth: ClientAuth = ClientAuth.NONE
    callers: CallerSettings = field(default_factory=CallerSettings)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    cluster_domain: str = "cluster.local"
    localhost_names: bool = True
    dialing: DialSettings = field(default_factory=lambda: DialSettings(DialGuard(loopback=True)))
    access_log: AccessLogFormat = AccessLogFormat.TEXT
    audit_log: str = ""
    tls: ListenerTls | None = None

    @property
    def hosts(self) -> HostForm:
        """The names that Connectors have as hosts of this proxy."""
        return HostForm(self.cluster_domain, localhost=self.localhost_names)

    @property
    def scheme(self) -> str:
        """Of the URLs by which clients reach the proxy."""
        return "https" if self.tls else "http"
