"""The command line of `connectors serve`."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.dial.dial_settings import dialing_on_this_machine
from connectors.kube.settings import CLUSTER_DOMAIN
from connectors.process.declaration import Parser, SettingError, declared, setting
from connectors.process.logs import Logging
from connectors.process.parsers import HOST_PORT, HostPort, optional
from controller.probes.schedule import ProbeSettings
from proxy.settings import ClientAuth, Installation, ProxySettings, TrafficOptions

_LISTEN = HostPort(ProxySettings().host, ProxySettings().port)


def parse_client_auth(text: str) -> ClientAuth:
    """`none` or `token`; `kubernetes` needs an API server, which is the business of `python -m proxy`.

    Raises:
        ValueError: anything else.
    """
    if text not in {ClientAuth.NONE, ClientAuth.TOKEN}:
        raise ValueError("it takes one of none, token")
    return ClientAuth(text)


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """`client_auth` None: nothing was said."""

    listen: HostPort = setting("--listen", str(_LISTEN), HOST_PORT, "where clients reach the proxy", "[::]:8080")
    admin: HostPort = setting(
        "--admin", "127.0.0.1:8081", HOST_PORT,
        "where /livez, /readyz, /metrics and the status of Connectors are served",
    )  # fmt: skip
    client_auth: ClientAuth | None = setting(
        "--client-auth", "",
        Parser(optional(parse_client_auth), "none|token", "none on a loopback address, else it must be given"),
        "none: any client that reaches the port may use every Connector. token: the tokens of Secrets of type "
        "kubernetes.io/service-account-token, each for the Connectors of its namespace", "token",
    )  # fmt: skip
    logging: Logging = field(default_factory=Logging)
    cluster_domain: str = declared(CLUSTER_DOMAIN)
    probes: ProbeSettings = field(default_factory=ProbeSettings)
    traffic: TrafficOptions = field(default_factory=lambda: TrafficOptions(dialing=dialing_on_this_machine()))

    def proxy_settings(self) -> ProxySettings:
        """What proxy/wiring.py needs.

        Raises:
            SettingError: the settings do not fit together.
        """
        decided = ProxySettings(
            self.listen.host,
            self.listen.port,
            self._client_auth(),
            cluster_domain=self.cluster_domain,
            installation=Installation(listens=(self.admin,)),
        )
        return self.traffic.proxy_settings(decided, self.logging.format)

    def _client_auth(self) -> ClientAuth:
        if self.client_auth is not None:
            return self.client_auth
        if not self.listen.loopback:
            raise SettingError(
                f"--client-auth: {self.listen} can be reached from other machines, so say who may use the Connectors: "
                "--client-auth token, or --client-auth none for everybody"
            )
        return ClientAuth.NONE
