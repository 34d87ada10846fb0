"""The webhook as a whole: what is served, with which certificate, and whether it is ready."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from connectors.kube.settings import ClusterNames
from connectors.process.clock import Clock
from connectors.process.parsers import HostPort
from connectors.process.run import cannot_listen
from connectors.tls.serving import Mounted, PairFiles, Serving
from controller.admission.certificates import CERTIFICATE, KEY, Lives
from controller.admission.client_authorities import ClientAuthorities
from controller.admission.judges import JudgeProcesses
from controller.admission.listener import BoundedListener
from controller.admission.metrics import AdmissionMetrics
from controller.admission.rotation import CertificatePolicy, Rotation
from controller.admission.webhook import ReviewSources, Webhook

logger = logging.getLogger("connectors.admission")

SERVICE = "connectors-webhook-service"
PATH = "/validate"
# Bytes of a question. An object has 1.5 MiB at most (etcd's limit), twice in an update, and JSON may escape.
MAX_BODY = 8 << 20
# Seconds an idle connection stays open: longer than the 90 s after which Go's client closes one of its own, so that
# none is closed under a question.
KEEP_ALIVE = 120.0
# Seconds for running reviews at the end: as long as the API server waits for one.
SHUTDOWN = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ListenError(Exception):
    """The webhook cannot listen; the message says where, why and what to do."""


@dataclass(frozen=True, slots=True)
class AdmissionSettings:
    """`folder`: where a certificate made by others is; None: it makes its own.

    `client_ca`: a file with the CAs of the clients that are let in; None: all are.
    `namespace` and `cluster_domain`: of Service connectors-webhook-service. `names`: further ones it is reached by.
    """

    listen: HostPort
    folder: Path | None = None
    namespace: str = ClusterNames().namespace
    cluster_domain: str = ClusterNames().cluster_domain
    names: Set[str] = frozenset()
    lives: Lives = field(default_factory=Lives)
    client_ca: Path | None = None

    @property
    def all_names(self) -> frozenset[str]:
        """What its certificate must be good for: the API server asks for SERVICE.NAMESPACE.svc."""
        short = f"{SERVICE}.{self.namespace}"
        return frozenset({short, f"{short}.svc", f"{short}.svc.{self.cluster_domain}"} | self.names)


class WebhookServer:
    """Serves `handler` at PATH, each connection with the context that `context` gives when it comes."""

    def __init__(
        self,
        handler: Handler,
        listen: HostPort,
        context: Callable[[], ssl.SSLContext],
        clock: Clock,
        metrics: AdmissionMetrics,
    ) -> None:
        self._handler = handler
        self._listen = listen
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post(PATH, self._handle)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            # API servers compress no question, so none is unpacked that is a thousand times larger inside.
            auto_decompress=False,
            keepalive_timeout=KEEP_ALIVE,
            shutdown_timeout=SHUTDOWN,
            handle_signals=False,
        )
        self._listener = BoundedListener(self._protocol, context, clock, metrics)

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: the port is taken, or the host is not one of this machine.
        """
        await self._runner.setup()
        try:
            await self._listener.start(self._listen)
        except OSError:
            await self._runner.cleanup()
            raise

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the kernel where 0 was asked for; 0 before `start`."""
        return self._listener.port

    async def stop(self) -> None:
        """Close the port; running reviews get SHUTDOWN seconds."""
        self._listener.close()
        await self._runner.cleanup()
        await self._listener.closed()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        protocol = request.protocol
        self._listener.asked(protocol)
        try:
            return await self._handler(request)
        finally:
            self._listener.answered(protocol)

    def _protocol(self) -> web.RequestHandler:
        if self._runner.server is None:
            raise RuntimeError("connections before start")
        return self._runner.server()


class Admission:
    """`start` it, `run` it beside the controller, and `stop` it before the API client."""

    def __init__(
        self,
        around: ReviewSources,
        judges: JudgeProcesses,
        settings: AdmissionSettings,
        metrics: AdmissionMetrics,
    ) -> None:
        """`judges` are those of `around`, which this starts and stops."""
        self._judges = judges
        self._settings = settings
        self._serving = Serving(metrics.serves_until)
        self._source: Rotation | Mounted
        if settings.folder is not None:
            files = PairFiles(settings.folder / CERTIFICATE, settings.folder / KEY)
            self._source = Mounted(files, self._serving, around.clock)
        else:
            policy = CertificatePolicy(settings.namespace, settings.all_names, settings.lives)
            self._source = Rotation(around.client, policy, self._serving, around.clock)
        self._clients = (
            ClientAuthorities(settings.client_ca, self._serving, around.clock) if settings.client_ca else None
        )
        self.reflectors = self._source.reflectors if isinstance(self._source, Rotation) else ()
        answer = Webhook(around, metrics).answer
        self._server = WebhookServer(answer, settings.listen, lambda: self._serving.now, around.clock, metrics)

    def missing(self) -> str | None:
        """What keeps it from serving (a Readiness)."""
        return self._source.missing() or (self._clients.missing() if self._clients else None)

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
        self._judges.start()
        logger.info("admission webhook on https://%s", HostPort(self._settings.listen.host, self.port))

    async def run(self) -> None:
        """Keep the certificate, and the CAs of clients, current until cancelled."""
        if self._clients is None:
            await self._source.run()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._source.run())
            tasks.create_task(self._clients.run())

    async def stop(self) -> None:
        """Stop listening, and finish what runs."""
        await self._server.stop()
        await self._judges.stop()
