"""The settings of `python -m controller`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from connectors.dial.flags import DIAL_FLAGS
from connectors.kube.settings import KUBE_SETTINGS
from connectors.process.log_settings import LOG_FORMAT, LOG_LEVEL
from connectors.process.parsers import HostPort, optional, parse_host_port, parse_switch
from connectors.process.settings import Setting
from controller.admission.renewal import canonical
from controller.probes.settings import PROBE_INTERVAL

_OFF = "off"
_HOST = re.compile(r"[0-9a-z.:-]{1,253}", re.ASCII)


def parse_listen(text: str) -> HostPort | None:
    """HOST:PORT; None for `off`.

    Raises:
        ValueError: anything else.
    """
    return None if text == _OFF else parse_host_port(text)


def parse_hosts(text: str) -> frozenset[str]:
    """DNS names and IP addresses, separated by commas; none for the empty text. Addresses in their shortest form.

    Raises:
        ValueError: one of them is neither.
    """
    names = frozenset(text.split(",")) if text else frozenset[str]()
    if not all(_HOST.fullmatch(name) for name in names):
        raise ValueError("it takes DNS names and IP addresses, separated by commas")
    return canonical(names)


LEADER_ELECT = Setting(
    "--leader-elect", "true", parse_switch, "write only while holding the Lease, so that replicas take turns", "true",
    switch=True,
)  # fmt: skip
WEBHOOK_LISTEN = Setting(
    "--webhook-listen", "0.0.0.0:9443", parse_listen, "where the admission webhook is served, or off", "0.0.0.0:9443",
    metavar="HOST:PORT|off",
)  # fmt: skip
WEBHOOK_CERT_DIR = Setting(
    "--webhook-cert-dir", "", optional(Path), "folder with tls.crt and tls.key for the webhook, kept current by others",
    "/etc/connectors/webhook", metavar="DIR", default_text="it makes its own, in secrets connectors-webhook-cert",
)  # fmt: skip
WEBHOOK_NAME = Setting(
    "--webhook-name", "", parse_hosts, "further names and IP addresses that the API server reaches the webhook by",
    "webhook.example,192.0.2.1", metavar="NAME,...",
)  # fmt: skip
SETTINGS: tuple[Setting[Any], ...] = (
    LEADER_ELECT, PROBE_INTERVAL, *DIAL_FLAGS, WEBHOOK_LISTEN, WEBHOOK_CERT_DIR, WEBHOOK_NAME,
    *KUBE_SETTINGS, LOG_FORMAT, LOG_LEVEL,
)  # fmt: skip
