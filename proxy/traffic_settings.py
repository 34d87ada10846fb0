"""The settings that every command which serves takes, and the proxy's settings made of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from connectors.dial.flags import DIAL_FLAGS, dial_settings
from connectors.kube.settings import CLUSTER_DOMAIN
from connectors.process.log_settings import LOG_FORMAT
from connectors.process.parsers import HostPort, choice, parse_count, parse_duration, parse_size
from connectors.process.settings import Setting, SettingError, Values
from connectors.tls.pool import TlsVersion
from proxy.settings import AccessLogFormat, ClientAuth, Limits, ListenerTls, ProxySettings, Timeouts


class AccessLog(StrEnum):
    """Whether each request leaves a line."""

    ON = "on"
    OFF = "off"


WORKERS = Setting("--workers", "1", parse_count, "processes that serve; only 1 in this version", "1", metavar="N")
ACCESS_LOG = Setting(
    "--access-log", "on", choice(AccessLog), "one line a request, as --log-format says", "off", metavar="on|off"
)  # fmt: skip
AUDIT_LOG = Setting(
    "--audit-log", "", str, "where each request leaves a JSON object: a file, or - for standard output",
    "/var/log/connectors/audit.log", metavar="PATH|-",
)  # fmt: skip
TLS_CERT = Setting(
    "--tls-cert", "", str, "serve clients over TLS, with the certificate chain of this PEM file, its leaf first",
    "/etc/connectors/tls/tls.crt", metavar="PATH",
)  # fmt: skip
TLS_KEY = Setting(
    "--tls-key", "", str, "the PEM file of its private key", "/etc/connectors/tls/tls.key", metavar="PATH"
)
TLS_MIN = Setting("--tls-min", "1.2", choice(TlsVersion), "lowest version of TLS for clients", "1.3", metavar="1.2|1.3")
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

TRAFFIC_SETTINGS: tuple[Setting[Any], ...] = (
    WORKERS,
    ACCESS_LOG,
    AUDIT_LOG,
    TLS_CERT,
    TLS_KEY,
    TLS_MIN,
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
    *DIAL_FLAGS,
)


def proxy_settings(
    values: Values, listen: HostPort, client_auth: ClientAuth, *, localhost_names: bool
) -> ProxySettings:
    """What proxy/wiring.py needs, of these settings and what a command has decided itself.

    Raises:
        SettingError: the settings do not fit together.
    """
    if values[WORKERS] > 1:
        raise SettingError("--workers: this version serves with one process; leave it out or give 1")
    return ProxySettings(
        host=listen.host,
        port=listen.port,
        client_auth=client_auth,
        limits=Limits(values[MAX_HEAD], values[MAX_TARGET], values[MAX_HEADERS], values[MAX_CONNECTIONS]),
        timeouts=_timeouts(values),
        cluster_domain=values[CLUSTER_DOMAIN],
        localhost_names=localhost_names,
        # Where names of this machine's own loopback are served, its tools are what is served.
        dialing=dial_settings(values, loopback=localhost_names),
        access_log=_access_log(values),
        audit_log=values[AUDIT_LOG],
        tls=_tls(values),
    )


def _tls(values: Values) -> ListenerTls | None:
    certificate, key = values[TLS_CERT], values[TLS_KEY]
    if not certificate and not key:
        return None
    for given, lacks in ((certificate, TLS_CERT), (key, TLS_KEY)):
        if not given:
            raise SettingError(f"{lacks.flag} is missing: TLS takes a certificate and its key; {lacks.example} perhaps")
    return ListenerTls(certificate, key, values[TLS_MIN])


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
