"""The data plane's settings: declared on the fields that hold them, for every command which serves. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import StrEnum

from connectors.dial.dial_settings import TLS_VERSION, DialSettings, dialing_on_this_machine
from connectors.kube.settings import ClusterNames, ClusterOptions
from connectors.objects.names import HostForm
from connectors.process.declaration import Parser, SettingError, setting, settings_of
from connectors.process.logs import LogFormat, Logging
from connectors.process.parsers import (
    COUNT,
    DURATION,
    DURATION_OR_ZERO,
    HOST_PORT,
    PATH,
    SIZE,
    SWITCH,
    HostPort,
    choice,
    parse_count,
    parse_count_or_zero,
    parse_on_off,
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

    @property
    def in_flight(self) -> int:
        """How many requests of one Connector may be in flight."""
        return self.requests_per_connector or math.ceil(self.connections / 2)


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
    # No flag: about callers who were let in before, and as many about strangers. What this program is granted must not
    # be used up.
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
    `services`: names of its Services, without a dot at their end. `listens`: where its other ports are.
    """

    identity: str = ""
    services: frozenset[str] = frozenset()
    listens: tuple[HostPort, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything proxy/wiring.py needs to know; the defaults are those of `connectors serve`, a laptop's.

    `port` 0 lets the kernel choose. `audit_log` is a file's path, `-` for standard output, empty for none.
    Without `tls` clients speak plain HTTP. `workers`: processes that serve; with 1 it is the one that was started.
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

    @property
    def hosts(self) -> HostForm:
        """The names that Connectors have as hosts of this proxy."""
        return HostForm(self.cluster_domain, localhost=self.localhost_names)

    @property
    def scheme(self) -> str:
        """Of the URLs by which clients reach the proxy."""
        return "https" if self.tls else "http"


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
    tls: ListenerTls = field(default_factory=ListenerTls)
    limits: Limits = field(default_factory=Limits)
    timeouts: Timeouts = field(default_factory=Timeouts)
    dialing: DialSettings = field(default_factory=DialSettings)

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
        )


# Of the controller, and of the metrics of both (deploy/webhook.yaml, deploy/components/monitoring/services.yaml).
OTHER_SERVICES = ("connectors-webhook-service", "connectors-proxy-metrics", "connectors-controller-metrics")


def own_services(names: ClusterNames) -> frozenset[str]:
    """Every name of the installation's own Services, also the short ones, which the proxy's pod could look up."""
    suffixes = ("", f".{names.namespace}", f".{names.namespace}.svc", f".{names.namespace}.svc.{names.cluster_domain}")
    return frozenset(service + suffix for service in (names.proxy_service, *OTHER_SERVICES) for suffix in suffixes)


@dataclass(frozen=True, slots=True)
class ProxyOptions:
    """The command line of `python -m proxy`."""

    listen: HostPort = setting("--listen", "0.0.0.0:8080", HOST_PORT, "where clients reach the proxy")
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
            installation=Installation(services=own_services(self.cluster.names), listens=(self.cluster.admin,)),
        )
        dialing = self.traffic.dialing.with_proxy_secrets(self.cluster.upstream_proxy_secrets)
        return replace(self.traffic, dialing=dialing).proxy_settings(decided, self.logging.format)
