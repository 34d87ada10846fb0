"""The command line of `python -m controller`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from connectors.dial.dial_settings import DialSettings
from connectors.dial.marks import EXTERNAL_URL
from connectors.kube.settings import ClusterOptions
from connectors.objects.addresses import Origin
from connectors.process.declaration import Parser, declared, setting
from connectors.process.logs import Logging
from connectors.process.parsers import SWITCH, HostPort, optional, parse_host_port
from controller.admission.admission import AdmissionSettings
from controller.admission.certificates import canonical
from controller.controller import ControllerSettings
from controller.destination import Platform
from controller.probes.schedule import ProbeSettings

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


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """`webhook` None: no webhook."""

    leader_elect: bool = setting(
        "--leader-elect", "true", SWITCH, "write only while holding the Lease, so that replicas take turns"
    )
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    dialing: DialSettings = field(default_factory=DialSettings)
    webhook: HostPort | None = setting(
        "--webhook-listen", "[::]:9443", Parser(parse_listen, "HOST:PORT|off"),
        "where the admission webhook is served, or off",
    )  # fmt: skip
    webhook_folder: Path | None = setting(
        "--webhook-cert-dir", "",
        Parser(optional(Path), "DIR", empty="it makes its own, in secrets connectors-webhook-cert"),
        "folder with tls.crt and tls.key for the webhook, kept current by others", "/etc/connectors/webhook",
    )  # fmt: skip
    webhook_client_ca: Path | None = setting(
        "--webhook-client-ca", "", Parser(optional(Path), "FILE", empty="every client that reaches the port may ask"),
        "CAs in PEM; a client without a certificate of theirs is refused by the webhook", "/etc/clients/ca.crt",
    )  # fmt: skip
    webhook_names: frozenset[str] = setting(
        "--webhook-name", "", Parser(parse_hosts, "NAME,..."),
        "further names and IP addresses that the API server reaches the webhook by", "webhook.example,192.0.2.1",
    )  # fmt: skip
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    logging: Logging = field(default_factory=Logging)
    published: frozenset[Origin] = declared(EXTERNAL_URL)

    def controller_settings(self) -> ControllerSettings:
        """What the controller needs.

        Raises:
            SettingError: the settings do not fit together.
        """
        dialing = self.dialing.with_proxy_secrets(self.cluster.upstream_proxy_secrets)
        dialing.egress.require_fit()
        names = self.cluster.names
        platform = Platform(names.namespace, names.cluster_domain, names.proxy_service)
        return ControllerSettings(platform, probes=self.probes, dialing=dialing, published=self.published)

    def admission_settings(self) -> AdmissionSettings | None:
        """What the webhook needs; None if there is to be none."""
        if self.webhook is None:
            return None
        names = self.cluster.names
        return AdmissionSettings(
            self.webhook, self.webhook_folder, names.namespace, names.cluster_domain, self.webhook_names,
            client_ca=self.webhook_client_ca,
        )  # fmt: skip
