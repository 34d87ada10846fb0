"""The settings of `connectors serve`, and the proxy's settings made of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from connectors.process.logs import LogFormat, LogLevel
from connectors.process.parsers import choice, optional, parse_count, parse_duration, parse_host_port, parse_size
from connectors.process.settings import Setting, SettingError, Values
from proxy.settings import AccessLogFormat, ClientAuth, Limits, ProxySettings, Timeouts


class AccessLog(StrEnum):
    """Whether each request leaves a line."""

    ON = "on"
    OFF = "off"


LISTEN = Setting(
    "--listen",
    "127.0.0.1:8080",
    parse_host_port,
    "where clients reach the proxy",
    "0.0.0.0:8080",
    metavar="HOST:PORT",
)
ADMIN = Setting(
    "--admin",
    "127.0.0.1:8081",
    parse_host_port,
    "where /livez, /readyz, /metrics and the status of Connectors are served",
    "127.0.0.1:8081",
    metavar="HOST:PORT",
)
CLIENT_AUTH = Setting(
    "--client-auth",
    "",
    optional(choice(ClientAuth)),
    "none: whoever reaches the port may use every Connector. token: the tokens of Secrets of type "
    "kubernetes.io/service-account-token, each for the Connectors of its namespace",
    "token",
    metavar="none|token",
    default_text="none on a loopback address, else it must be given",
)
WORKERS = Setting("--workers", "1", parse_count, "processes that serve; only 1 in this version", "1", metavar="N")
LOG_FORMAT = Setting(
    "--log-format", "text", choice(LogFormat), "how log lines look", "json", metavar="text|json"
)  # fmt: skip
LOG_LEVEL = Setting(
    "--log-level", "info", choice(LogLevel), "debug, info, warning or error", "debug", metavar="LEVEL"
)  # fmt: skip
ACCESS_LOG = Setting(
    "--access-log", "on", choice(AccessLog), "one line a request, as --log-format says", "off", metavar="on|off"
)  # fmt: skip
CLUSTER_DOMAIN = Setting(
    "--cluster-domain", "cluster.local", str, "DOMAIN of the host form c-NAME.NS.svc.DOMAIN", "cluster.local",
    metavar="DOMAIN",
)  # fmt: skip
MAX_HEAD = Setting(
    "--max-head", "64KiB", parse_size, "a request's or response's head; more is refused", "128KiB", metavar="SIZE"
)
MAX_TARGET = Setting("--max-target", "16KiB", parse_size, "a request's path and query", "32KiB", metavar="SIZE")
MAX_HEADERS = Setting("--max-headers", "128", parse_count, "header fields of one head", "256", metavar="N")
MAX_CONNECTIONS = Setting(
    "--max-connections", "4096", parse_count, "client connections at once; more are closed", "1024", metavar="N"
)


def _timeout(flag: str, default: str, meaning: str) -> Setting[float]:
    return Setting(flag, default, parse_duration, meaning, default, metavar="DURATION")


HEAD_TIMEOUT = _timeout("--head-timeout", "30s", "for a client to send a request's head")
CONNECT_TIMEOUT = _timeout("--connect-timeout", "10s", "for name lookup, TCP and TLS toward the tool")
FIRST_BYTE_TIMEOUT = _timeout("--first-byte-timeout", "5m", "for the tool to begin its answer")
IDLE_TIMEOUT = _timeout("--idle-timeout", "5m", "between two bytes of a body or a tunnel")
KEEP_ALIVE_TIMEOUT = _timeout("--keep-alive-timeout", "75s", "that an idle client connection stays open")
UPSTREAM_IDLE_TIMEOUT = _timeout("--upstream-idle-timeout", "60s", "that an unused connection to a tool is kept")
DRAIN_TIMEOUT = _timeout("--drain-timeout", "30s", "for running requests after SIGTERM")

SETTINGS: tuple[Setting[Any], ...] = (
    LISTEN,
    ADMIN,
    CLIENT_AUTH,
    WORKERS,
    LOG_FORMAT,
    LOG_LEVEL,
    ACCESS_LOG,
    CLUSTER_DOMAIN,
    MAX_HEAD,
    MAX_TARGET,
    MAX_HEADERS,
    MAX_CONNECTIONS,
    HEAD_TIMEOUT,
    CONNECT_TIMEOUT,
    FIRST_BYTE_TIMEOUT,
    IDLE_TIMEOUT,
    KEEP_ALIVE_TIMEOUT,
    UPSTREAM_IDLE_TIMEOUT,
    DRAIN_TIMEOUT,
)


def proxy_settings(values: Values) -> ProxySettings:
    """What proxy/wiring.py needs.

    Raises:
        SettingError: the settings do not fit together.
    """
    if values[WORKERS] > 1:
        raise SettingError("--workers: this version serves with one process; leave it out or give 1")
    listen = values[LISTEN]
    return ProxySettings(
        host=listen.host,
        port=listen.port,
        client_auth=_client_auth(values),
        limits=Limits(values[MAX_HEAD], values[MAX_TARGET], values[MAX_HEADERS], values[MAX_CONNECTIONS]),
        timeouts=_timeouts(values),
        cluster_domain=values[CLUSTER_DOMAIN],
        localhost_names=True,
        access_log=_access_log(values),
    )


def _client_auth(values: Values) -> ClientAuth:
    given = values[CLIENT_AUTH]
    if given is not None:
        return given
    if not values[LISTEN].loopback:
        raise SettingError(
            f"--client-auth: {values[LISTEN]} can be reached from other machines, so say who may use the Connectors: "
            "--client-auth token, or --client-auth none for everybody"
        )
    return ClientAuth.NONE


def _timeouts(values: Values) -> Timeouts:
    return Timeouts(
        head=values[HEAD_TIMEOUT],
        connect=values[CONNECT_TIMEOUT],
        first_byte=values[FIRST_BYTE_TIMEOUT],
        idle=values[IDLE_TIMEOUT],
        keep_alive=values[KEEP_ALIVE_TIMEOUT],
        upstream_idle=values[UPSTREAM_IDLE_TIMEOUT],
        drain=values[DRAIN_TIMEOUT],
    )


def _access_log(values: Values) -> AccessLogFormat:
    return AccessLogFormat(values[LOG_FORMAT].value) if values[ACCESS_LOG] is AccessLog.ON else AccessLogFormat.OFF
