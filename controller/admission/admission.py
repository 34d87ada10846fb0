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
from connectors.process.listening import listen
from connectors.process.parsers import HostPort
from connectors.process.run import cannot_listen
from connectors.tls.serving import Mounted, PairFiles, Serving
from controller.admission.certificates import CERTIFICATE, KEY, Lives
from controller.admission.metrics import AdmissionMetrics
from controller.admission.rotation import CertificatePolicy, Rotation
from controller.admission.webhook import ReviewSources, Webhook

logger = logging.getLogger("connectors.admission")

SERVICE = "connectors-webhook-service"
PATH = "/validate"
# Bytes of a question. An object has 1.5 MiB at most (etcd's limit), twice in an update, and JSON may escape.
MAX_BODY = 8 << 20
# For the TLS handshake: an API server needs milliseconds.
HANDSHAKE_SECONDS = 10.0
# For the handshake and the head of the first request together.
SILENCE_SECONDS = 20.0
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

    `namespace` and `cluster_domain`: of Service connectors-webhook-service. `names`: further ones it is reached by.
    """

    listen: HostPort
    folder: Path | None = None
    namespace: str = ClusterNames().namespace
    cluster_domain: str = ClusterNames().cluster_domain
    names: Set[str] = frozenset()
    lives: Lives = field(default_factory=Lives)

    @property
    def all_names(self) -> frozenset[str]:
        """What its certificate must be good for: the API server asks for SERVICE.NAMESPACE.svc."""
        short = f"{SERVICE}.{self.namespace}"
        return frozenset({short, f"{short}.svc", f"{short}.svc.{self.cluster_domain}"} | self.names)


class WebhookServer:
    """Serves `handler` at PATH, with whatever certificate `context` holds when a connection comes."""

    def __init__(
        self, handler: Handler, listen: HostPort, context: ssl.SSLContext, silence: float = SILENCE_SECONDS
    ) -> None:
        """`silence`: seconds after which a connection that has asked nothing is closed."""
        self._handler = handler
        self._silence = silence
        self._listen = listen
        self._context = context
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
        self._servers: list[asyncio.Server] = []
        self._silent: dict[web.RequestHandler, asyncio.TimerHandle] = {}

    async def start(self) -> None:
        """Bind and serve.

        Raises:
            OSError: the port is taken, or the host is not one of this machine.
        """
        await self._runner.setup()
        try:
            self._servers = [
                await asyncio.get_running_loop().create_server(
                    self._connected, sock=listener, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
                )
                for listener in await listen(self._listen.host, self._listen.port)
            ]
        except OSError:
            await self._runner.cleanup()
            raise

    @property
    def port(self) -> int:
        """The port it listens on, chosen by the kernel where 0 was asked for; 0 before `start`."""
        port: int = self._servers[0].sockets[0].getsockname()[1] if self._servers else 0
        return port

    async def stop(self) -> None:
        """Close the port; running reviews get SHUTDOWN seconds."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()
        for timer in self._silent.values():
            timer.cancel()
        self._silent.clear()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if timer := self._silent.pop(request.protocol, None):
            timer.cancel()
        return await self._handler(request)

    def _connected(self) -> asyncio.Protocol:
        """A connection that asks nothing is closed: aiohttp waits for a first request without an end."""
        if self._runner.server is None:
            raise RuntimeError("connections before start")
        protocol = self._runner.server()
        timer = asyncio.get_running_loop().call_later(self._silence, self._close_silent, protocol)
        self._silent[protocol] = timer
        return protocol

    def _close_silent(self, protocol: web.RequestHandler) -> None:
        self._silent.pop(protocol, None)
        if protocol.transport is not None:
            protocol.transport.abort()


class Admission:
    """`start` it, `run` it beside the controller, and `stop` it before the API client."""

    def __init__(self, around: ReviewSources, settings: AdmissionSettings, metrics: AdmissionMetrics) -> None:
        self._settings = settings
        self._serving = Serving(metrics.serves_until)
        self._source: Rotation | Mounted
        if settings.folder is not None:
            files = PairFiles(settings.folder / CERTIFICATE, settings.folder / KEY)
            self._source = Mounted(files, self._serving, around.clock)
        else:
            policy = CertificatePolicy(settings.namespace, settings.all_names, settings.lives)
            self._source = Rotation(around.client, policy, self._serving, around.clock)
        self.reflectors = self._source.reflectors if isinstance(self._source, Rotation) else ()
        self._server = WebhookServer(Webhook(around, metrics).answer, settings.listen, self._serving.context)

    def missing(self) -> str | None:
        """What keeps it from serving (a Readiness)."""
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
