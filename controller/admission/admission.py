"""The webhook as a whole: what is served, with which certificate, and whether it is ready."""

from __future__ import annotations

import logging
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path

from connectors.kube.settings import ClusterNames
from connectors.process.parsers import HostPort
from connectors.process.run import cannot_listen
from connectors.tls.serving import Mounted, PairFiles, Serving
from controller.admission.certificates import CERTIFICATE, KEY
from controller.admission.metrics import AdmissionMetrics
from controller.admission.renewal import Times
from controller.admission.rotation import Rotation, Scope
from controller.admission.server import WebhookServer
from controller.admission.webhook import Surroundings, Webhook

logger = logging.getLogger("connectors.admission")

SERVICE = "connectors-webhook-service"


class ListenError(Exception):
    """The webhook cannot listen; the message says where, why and what to do."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """`folder`: where somebody else's certificate is; None: it makes its own.

    `namespace` and `cluster_domain`: of Service connectors-webhook-service. `names`: further ones it is reached by.
    """

    listen: HostPort
    folder: Path | None = None
    namespace: str = ClusterNames().namespace
    cluster_domain: str = ClusterNames().cluster_domain
    names: Set[str] = frozenset()
    times: Times = field(default_factory=Times)

    @property
    def all_names(self) -> frozenset[str]:
        """What its certificate must be good for: the API server asks for SERVICE.NAMESPACE.svc."""
        short = f"{SERVICE}.{self.namespace}"
        return frozenset({short, f"{short}.svc", f"{short}.svc.{self.cluster_domain}"} | self.names)


class Admission:
    """`start` it, `run` it beside the controller, and `stop` it before the API client."""

    def __init__(self, around: Surroundings, settings: AdmissionSettings, metrics: AdmissionMetrics) -> None:
        self._settings = settings
        self._serving = Serving(metrics.serves_until)
        self._source: Rotation | Mounted
        if settings.folder is not None:
            files = PairFiles(settings.folder / CERTIFICATE, settings.folder / KEY)
            self._source = Mounted(files, self._serving, around.clock)
        else:
            scope = Scope(settings.namespace, settings.all_names, settings.times)
            self._source = Rotation(around.client, scope, self._serving, around.clock)
        self.reflectors = self._source.reflectors if isinstance(self._source, Rotation) else ()
        self._server = WebhookServer(Webhook(around, metrics).answer, settings.listen, self._serving.context)

    def missing(self) -> str | None:
        """What keeps it from serving (a ReadyCheck)."""
        return self._source.missing()

    @property
    def port(self) -> int:
        """Where it listens; only after `start`."""
        return self._server.port

    async def start(self) -> None:
        """Listen. Handshakes fail until there is a certificate.

        Raises:
            ListenError: the port is taken, or the host is not one of this machine.
        """
        try:
            await self._server.start()
        except OSError as error:
            raise ListenError(cannot_listen(self._settings.listen, "--webhook-listen", error)) from error
        logger.info("admission webhook on https://%s", HostPort(self._settings.listen.host, self.port))

    async def run(self) -> None:
        """Keep the certificate current until cancelled."""
        await self._source.run()

    async def stop(self) -> None:
        """Stop listening, and finish what runs."""
        await self._server.stop()
