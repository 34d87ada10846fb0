"""The settings of `python -m proxy`, and the proxy's settings made of them."""

from __future__ import annotations

from typing import Any

from connectors.kube.settings import KUBE_SETTINGS
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.parsers import choice, parse_host_port
from connectors.process.settings import Setting, Values
from proxy.settings import ClientAuth, ProxySettings
from proxy.traffic_settings import TRAFFIC_SETTINGS, proxy_settings

LISTEN = Setting(
    "--listen", "0.0.0.0:8080", parse_host_port, "where clients reach the proxy", "0.0.0.0:8080", metavar="HOST:PORT"
)
CLIENT_AUTH = Setting(
    "--client-auth",
    "kubernetes",
    choice(ClientAuth),
    "kubernetes: ServiceAccount tokens, which the API server reviews. token: the tokens of Secrets of type "
    "kubernetes.io/service-account-token. Both for the Connectors of the ServiceAccount's namespace. "
    "none: whoever reaches the port may use every Connector",
    "kubernetes",
    metavar="kubernetes|token|none",
)
SETTINGS: tuple[Setting[Any], ...] = (
    LISTEN,
    CLIENT_AUTH,
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
    return proxy_settings(values, values[LISTEN], values[CLIENT_AUTH], localhost_names=False)
