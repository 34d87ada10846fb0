"""The settings of `connectors serve`, and the proxy's settings made of them."""

from __future__ import annotations

from typing import Any

from connectors.kube.settings import CLUSTER_DOMAIN
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.parsers import optional, parse_host_port
from connectors.process.settings import Setting, SettingError, Values
from controller.probes.settings import PROBE_INTERVAL
from proxy.settings import ClientAuth, ProxySettings
from proxy.traffic_settings import TRAFFIC_SETTINGS, proxy_settings


def parse_client_auth(text: str) -> ClientAuth:
    """`none` or `token`; `kubernetes` needs an API server, which is the business of `python -m proxy`.

    Raises:
        ValueError: anything else.
    """
    if text not in {ClientAuth.NONE, ClientAuth.TOKEN}:
        raise ValueError("it takes one of none, token")
    return ClientAuth(text)


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
    optional(parse_client_auth),
    "none: whoever reaches the port may use every Connector. token: the tokens of Secrets of type "
    "kubernetes.io/service-account-token, each for the Connectors of its namespace",
    "token",
    metavar="none|token",
    default_text="none on a loopback address, else it must be given",
)
SETTINGS: tuple[Setting[Any], ...] = (
    LISTEN,
    ADMIN,
    CLIENT_AUTH,
    LOG_FORMAT,
    LOG_LEVEL,
    CLUSTER_DOMAIN,
    PROBE_INTERVAL,
    *TRAFFIC_SETTINGS,
)


def serve_settings(values: Values) -> ProxySettings:
    """What proxy/wiring.py needs.

    Raises:
        SettingError: the settings do not fit together.
    """
    return proxy_settings(values, values[LISTEN], _client_auth(values), localhost_names=True)


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
