"""The settings of `python -m proxy`, and the proxy's settings made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from connectors.kube.settings import KUBE_SETTINGS
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.parsers import (
    choice,
    parse_count_or_zero,
    parse_duration,
    parse_duration_or_zero,
    parse_host_port,
    parse_switch,
)
from connectors.process.settings import Setting, Values
from proxy.settings import CallerSettings, ClientAuth, ProxySettings
from proxy.traffic_settings import TRAFFIC_SETTINGS, proxy_settings

LISTEN = Setting(
    "--listen", "0.0.0.0:8080", parse_host_port, "where clients reach the proxy", "0.0.0.0:8080", metavar="HOST:PORT"
)
CLIENT_AUTH = Setting(
    "--client-auth",
    "kubernetes",
    choice(ClientAuth),
    "kubernetes: the API server reviews callers' tokens, and their roles must allow `get` on the Connector. token: the "
    "tokens of Secrets of type kubernetes.io/service-account-token, for the Connectors of the ServiceAccount's "
    "namespace. none: whoever reaches the port may use every Connector",
    "kubernetes",
    metavar="kubernetes|token|none",
)
REQUIRE_AUDIENCE = Setting(
    "--require-audience", "false", parse_switch,
    "accept only tokens that were minted for the Connector's proxy URL (status.proxy.httpAddress.url)", "true",
    switch=True,
)  # fmt: skip
AUTH_CACHE_TTL = Setting(
    "--auth-cache-ttl", "10s", parse_duration,
    "that an answer about a caller counts; a revoked token or role works for that much longer", "10s",
    metavar="DURATION",
)  # fmt: skip
AUTH_STALE = Setting(
    "--auth-stale-if-error", "5m", parse_duration_or_zero,
    "that a caller who was let in is let in while the API server is away; 0: not at all", "5m", metavar="DURATION",
)  # fmt: skip
AUTH_FAILURE_RATE = Setting(
    "--auth-failure-rate", "10", parse_count_or_zero,
    "refused tokens and permissions a second from one client address, in the mean of ten seconds; beyond that its "
    "unknown tokens get 429; 0: no limit", "10", metavar="N",
)  # fmt: skip
SETTINGS: tuple[Setting[Any], ...] = (
    LISTEN,
    CLIENT_AUTH,
    REQUIRE_AUDIENCE,
    AUTH_CACHE_TTL,
    AUTH_STALE,
    AUTH_FAILURE_RATE,
    *KUBE_SETTINGS,
    LOG_FORMAT,
    LOG_LEVEL,
    *TRAFFIC_SETTINGS,
)


def cluster_settings(values: Values) -> ProxySettings:
    """What proxy/wiring.py needs.

    Raises:
        SettingError: the settings do not fit together.
    """
    callers = CallerSettings(
        cache_ttl=values[AUTH_CACHE_TTL],
        stale_if_error=values[AUTH_STALE],
        require_audience=values[REQUIRE_AUDIENCE],
        failure_rate=values[AUTH_FAILURE_RATE],
    )
    settings = proxy_settings(values, values[LISTEN], values[CLIENT_AUTH], localhost_names=False)
    return replace(settings, callers=callers)
