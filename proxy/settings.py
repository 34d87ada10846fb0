"""The data plane's settings: declared on the fields that hold them, for every command which serves. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from connectors.dial.dial_settings import TLS_VERSION, DialSettings, dialing_on_this_machine
from connectors.dial.marks import EXTERNAL_URL
from connectors.http.isolation import IsolationPolicy, names_this_machine
from connectors.kube.settings import ClusterNames, ClusterOptions
from connectors.objects.addresses import Origin
from connectors.objects.ceilings import Ceilings
from connectors.objects.names import HostForm
from connectors.process.declaration import Parser, SettingError, declared, setting, settings_of
from connectors.process.logs import LogFormat, Logging
from connectors.process.parsers import (
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    HOST_PORT,
    HOSTS,
    PATH,
    SIZE,
    SWITCH,
    HostPort,
    choice,
    parse_count,
    parse_count_or_zero,
    parse_on_off,
    parse_size,
)
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


def parse_memory(text: str) -> int | None:
    """A size, `0` for no limit, or `auto`: None.

    Raises:
        ValueError: anything else.
    """
    if text == "auto":
        return None
    try:
        return 0 if text == "0" else parse_size(text)
    except ValueError as error:
        raise ValueError(f"{error}; or it is auto, or 0 for no limit") from None


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, and numbers, beyond which a message or a connection is refused."""

    # nginx allows 32 KiB, Go 1 MiB, Envoy 60 KiB: 64 KiB takes Kerberos tickets and large cookies, and one connection
    # cannot hold much memory.
    head_bytes: int = setting("--max-head", "64KiB", SIZE, "a request's or response's head; more is refused", "128KiB")
    # nginx and Apache stop at 8 KiB; package managers were seen above that.
    target_bytes: int = setting("--max-target", "16KiB", SIZE, "a request's path and query", "32KiB")
    # Envoy allows 100, Node 2,000.
    header_count: int = setting("--max-headers", "128", COUNT, "header fields of one head", "256")
    # With heads of 64 KiB that are never finished these are 256 MiB at the worst; a pipeline's client has a handful,
    # and nginx's examples say 1,024 for each of its processes.
    connections: int = setting(
        "--max-connections", "4096", COUNT,
        "client connections at once; beyond that those that wait make room, or new ones are closed", "1024",
    )  # fmt: skip
    # Off: behind a load balancer all clients have one address.
    connections_per_client: int = setting(
        "--max-connections-per-client", "0", Parser(parse_count_or_zero, "N"),
        "client connections at once from one address (of IPv6: one /64); 0: no limit", "64",
    )  # fmt: skip
    # Half: one tool that does not answer leaves the other half of all connections to all others.
    requests_per_connector: int = setting(
        "--max-requests-per-connector", "0", Parser(parse_count_or_zero, "N"),
        "requests in flight for one Connector, tunnels too; more get 429; 0: half of --max-connections", "256",
    )  # fmt: skip

    # As many as requests: a request has one at most, so only what is kept idle, of several addresses, has to make room.
    upstream_connections_per_connector: int = setting(
        "--max-upstream-connections-per-connector", "0", Parser(parse_count_or_zero, "N"),
        "connections toward the tools of one Connector; beyond that requests wait for one for --connect-timeout, then "
        "get 429; 0: as many as it may have requests in flight", "32",
    )  # fmt: skip

    # Off: what is too often depends on the tool. A number here is meant for those that have few workers.
    requests_per_second_per_caller: int = setting(
        "--max-requests-per-second-per-caller", "0", Parser(parse_count_or_zero, "N"),
        "requests a second of one caller to one Connector, a second's worth at once; more get 429; 0: no limit", "50",
    )  # fmt: skip

    # That of a container, less what the process takes at rest: what the kernel would end the process for.
    memory: int | None = setting(
        "--max-memory", "auto", Parser(parse_memory, "SIZE|auto|0"),
        "held for client connections together; beyond that new ones are closed, then those that wait; auto: what the "
        "container may have, less what is taken at rest; 0: no limit", "256Mi",
    )  # fmt: skip

    @property
    def in_flight(self) -> int:
        """How many requests of one Connector may be in flight."""
        return self.requests_per_connector or math.ceil(self.connections / 2)

    @property
    def upstream_connections(self) -> int:
        """How many connections toward its tools one Connector may have."""
        return self.upstream_connections_per_connector or self.in_flight

    @property
    def ceilings(self) -> Ceilings:
        """What one Connector may use, as far as its annotations do not lower it."""
        return Ceilings(self.in_flight, self.upstream_connections, self.requests_per_second_per_caller)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds.

    head: from a request head's first byte to its last. first_byte: from the last byte that moved to the response's
    head.
    """

    head: float = setting("--head-timeout", "30s", DURATION, "for a client to send a request's head")
    connect: float = setting("--connect-timeout", "10s", DURATION, "for name lookup, TCP and TLS toward the tool")
    first_byte: float = setting("--first-byte-timeout", "5m", DURATION, "for the tool to begin its answer")
    idle: float = setting("--idle-timeout", "5m", DURATION, "between two bytes of a body or a tunnel")
    keep_alive: float = setting("--keep-alive-timeout", "75s", DURATION, "that an idle client connection stays open")
    upstream_idle: float = setting(
        "--upstream-idle-timeout", "60s", DURATION, "that an unused connection to a tool is kept"
    )
    drain: float = setting("--drain-timeout", "30s", DURATION, "for running requests after SIGTERM")


@dataclass(frozen=True, slots=True)
class CallerSettings:
    """How callers are asked about, where the API server is. Durations in seconds."""

    require_audience: bool = setting(
        "--require-audience", "false", SWITCH,
        "accept only tokens that were minted for the Connector's proxy URL (status.proxy.httpAddress.url)", "true",
    )  # fmt: skip
    cache_ttl: float = setting(
        "--auth-cache-ttl", "10s", DURATION,
        "that an answer about a caller counts; a revoked token or role works for that much longer",
    )  # fmt: skip
    # Longer than it takes to restart an API server.
    stale_if_error: float = setting(
        "--auth-stale-if-error", "5m", DURATION_OR_ZERO,
        "that a caller who was let in is let in while the API server is away; 0: not at all",
    )  # fmt: skip
    failure_rate: float = setting(
        "--auth-failure-rate", "10", Parser(parse_count_or_zero, "N"),
        "refused tokens and permissions a second from one client address, in the mean of ten seconds; beyond that its "
        "unknown tokens get 429; 0: no limit",
    )  # fmt: skip
    # No flag: in each share (proxy/callers/limiter.py). What this program is granted must not be used up.
    questions_at_once: int = 16


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """TLS toward clients. `certificate` and `key` are paths of PEM files, `minimum` is the lowest version spoken."""

    certificate: str = setting(
        "--tls-cert", "", PATH, "serve clients over TLS, with the certificate chain of this PEM file, its leaf first",
        "/etc/connectors/tls/tls.crt",
    )  # fmt: skip
    key: str = setting("--tls-key", "", PATH, "the PEM file of its private key", "/etc/connectors/tls/tls.key")
    minimum: TlsVersion = setting("--tls-min", "1.2", TLS_VERSION, "lowest version of TLS for clients", "1.3")

    def complete(self) -> ListenerTls | None:
        """The same; None if neither path is given, and clients speak plain HTTP.

        Raises:
            SettingError: one of the two is given alone.
        """
        if not self.certificate and not self.key:
            return None
        for path, lacks in zip((self.certificate, self.key), settings_of(self), strict=False):
            if not path:
                what = f"{lacks.flag} is missing: TLS takes a certificate and its key"
                raise SettingError(f"{what}; for example: {lacks.flag} {lacks.example}")
        return self


@dataclass(frozen=True, slots=True)
class Installation:
    """What belongs to the same installation as this proxy, so that no Connector leads there (threats 34 and 35).

    `identity` is one for all of its processes and of no other installation; empty: one is made at the start.
    `services`: names of its Services, without a dot at their end. `listens`: where its other ports are. `published`:
    where it is reached from elsewhere.
    """

    identity: str = ""
    services: frozenset[str] = frozenset()
    listens: tuple[HostPort, ...] = ()
    published: frozenset[Origin] = frozenset()


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything proxy/wiring.py needs to know; the defaults are those of `connectors serve`, a laptop's.

    `port` 0 lets the kernel choose. `audit_log` is a file's path, `-` for standard output, empty for none.
    Without `tls` clients speak plain HTTP. `workers`: processes that serve; with 1 it is the one that was started.
    `allow_hosts`: further names by which clients reach it.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    client_auth: ClientAuth = ClientAuth.NONE
    callers: CallerSettings = field(default_factory=CallerSettings)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    cluster_domain: str = ClusterNames().cluster_domain
    localhost_names: bool = True
    # Where names of this machine's own loopback are served, its tools are what is served.
    dialing: DialSettings = field(default_factory=dialing_on_this_machine)
    access_log: AccessLogFormat = AccessLogFormat.TEXT
    audit_log: str = ""
    tls: ListenerTls | None = None
    workers: int = 1
    installation: Installation = field(default_factory=Installation)
    allow_hosts: frozenset[str] = frozenset()

    @property
    def hosts(self) -> HostForm:
        """The names that Connectors have as hosts of this proxy."""
        return HostForm(self.cluster_domain, localhost=self.localhost_names)

    @property
    def scheme(self) -> str:
        """Of the URLs by which clients reach the proxy."""
        return "https" if self.tls else "http"

    @property
    def isolation(self) -> IsolationPolicy | None:
        """What keeps web pages out; None where a token does, which they do not have."""
        if self.client_auth is not ClientAuth.NONE:
            return None
        # Names by which other machines reach it are not known here; a page cannot rebind to where it is not listened.
        return IsolationPolicy(self.scheme, self._own_host if HostPort(self.host, self.port).loopback else None)

    def _own_host(self, host: str) -> bool:
        return names_this_machine(host) or host in self.allow_hosts or self.hosts.private(host)


def share_of(settings: ProxySettings) -> ProxySettings:
    """What each worker may use: its part, rounded up, of what protects others; everything else as it is.

    To divide is exact where callers are spread evenly, and needs no word between workers for a request. Together they
    never allow more than the whole and one less than their number.
    """
    number = settings.workers
    limits = replace(
        settings.limits,
        connections=math.ceil(settings.limits.connections / number),
        connections_per_client=math.ceil(settings.limits.connections_per_client / number),
        requests_per_connector=math.ceil(settings.limits.requests_per_connector / number),
        upstream_connections_per_connector=math.ceil(settings.limits.upstream_connections_per_connector / number),
        requests_per_second_per_caller=math.ceil(settings.limits.requests_per_second_per_caller / number),
        memory=settings.limits.memory and math.ceil(settings.limits.memory / number),
    )
    callers = replace(
        settings.callers,
        failure_rate=float(math.ceil(settings.callers.failure_rate / number)),
        questions_at_once=math.ceil(settings.callers.questions_at_once / number),
    )
    return replace(settings, limits=limits, callers=callers)


# Of most machines more than there are processors; each has its memory and follows every change for itself.
MAX_WORKERS = 64


def parse_workers(text: str) -> int:
    """A whole number from 1 to MAX_WORKERS.

    Raises:
        ValueError: anything else.
    """
    number = parse_count(text)
    if number > MAX_WORKERS:
        raise ValueError(f"it must be at most {MAX_WORKERS}")
    return number


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """What every command which serves takes on its command line."""

    workers: int = setting(
        "--workers", "1", Parser(parse_workers, "N"),
        "processes that serve; above 1 they are children of the one that was started", "2",
    )  # fmt: skip
    access_log: bool = setting(
        "--access-log", "on", Parser(parse_on_off, "on|off"), "one line a request, as --log-format says", "off"
    )
    audit_log: str = setting(
        "--audit-log", "", Parser(str, "PATH|-"),
        "where each request leaves a JSON object: a file, or - for standard output", "/var/log/connectors/audit.log",
    )  # fmt: skip
    allow_hosts: frozenset[str] = setting(
        "--allow-host", "", HOSTS,
        "further names by which clients reach a loopback address that asks them for no token", "tools.example",
    )  # fmt: skip
    tls: ListenerTls = field(default_factory=ListenerTls)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    dialing: DialSettings = field(default_factory=DialSettings)
    published: frozenset[Origin] = declared(EXTERNAL_URL)

    def proxy_settings(self, decided: ProxySettings, log_format: LogFormat) -> ProxySettings:
        """The proxy's, where `decided` is what the command has decided itself: where it listens, and for whom.

        Raises:
            SettingError: the settings do not fit together.
        """
        self.dialing.egress.require_fit()
        return replace(
            decided,
            limits=self.limits,
            timeouts=self.timeouts,
            dialing=self.dialing,
            access_log=AccessLogFormat(log_format.value) if self.access_log else AccessLogFormat.OFF,
            audit_log=self.audit_log,
            tls=self.tls.complete(),
            workers=self.workers,
            installation=replace(decided.installation, published=self.published),
            allow_hosts=self.allow_hosts,
        )


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """The command line of `python -m proxy`."""

    listen: HostPort = setting("--listen", "[::]:8080", HOST_PORT, "where clients reach the proxy")
    client_auth: ClientAuth = setting(
        "--client-auth", "kubernetes", Parser(choice(ClientAuth), "kubernetes|token|none"),
        "kubernetes: the API server reviews callers' tokens, and their roles must allow `get` on the Connector. token: "
        "the tokens of Secrets of type kubernetes.io/service-account-token, for the Connectors of the ServiceAccount's "
        "namespace. none: any client that reaches the port may use every Connector",
    )  # fmt: skip
    callers: CallerSettings = field(default_factory=CallerSettings)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    logging: Logging = field(default_factory=Logging)
    traffic: TrafficOptions = field(default_factory=TrafficOptions)

    def proxy_settings(self) -> ProxySettings:
        """What proxy/wiring.py needs.

        Raises:
            SettingError: the settings do not fit together.
        """
        decided = ProxySettings(
            host=self.listen.host,
            port=self.listen.port,
            client_auth=self.client_auth,
            callers=self.callers,
            cluster_domain=self.cluster.names.cluster_domain,
            localhost_names=False,
            installation=Installation(services=self.cluster.names.own_services, listens=(self.cluster.admin,)),
        )
        dialing = self.traffic.dialing.with_proxy_secrets(self.cluster.upstream_proxy_secrets)
        return replace(self.traffic, dialing=dialing).proxy_settings(decided, self.logging.format)
