"""Sends requests with the current credential and CA, and maps failures to errors.py."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from connectors.kube.access import Access, AccessError, Connection, Endpoint, load
from connectors.kube.errors import (
    ConnectionLostError,
    KubeError,
    SilentError,
    UnauthorizedError,
    UnavailableError,
    failure,
)
from connectors.process.clock import Clock

# Connections to the API server; a request beyond them waits. Watches hold a handful of them.
MAX_CONNECTIONS = 100
# Bytes of an answer that are read ahead: one object, of which etcd takes 1.5 MiB by default.
READ_BUFFER = 2 * 1024 * 1024


class KubeSession:
    """An aiohttp session that closes once it is retired and its last request is over."""

    def __init__(self, connection: Connection) -> None:
        """Open it; nothing is sent.

        Raises:
            AccessError: the CA or the client certificate is none.
        """
        self.connection = connection
        endpoint = connection.endpoint
        try:
            context = _context(endpoint)
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError. Its text names no content of the files.
            raise AccessError(f"the CA or client certificate for {endpoint.host} cannot be used: {error}") from None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_CONNECTIONS, ssl=context),
            read_bufsize=READ_BUFFER,
        )
        self._running = 0
        self._retired = False

    async def request(self, method: str, url: str, **arguments: Any) -> aiohttp.ClientResponse:
        """As aiohttp's, without redirects: the credential goes to the host that was asked for and no other.

        On a connection that was kept and turns out to be closed, aiohttp sends GET, PUT and DELETE once more by itself.

        Between one `enter` and one `left`.
        """
        if proxy := self.connection.endpoint.proxy:
            arguments["proxy"] = proxy
        if name := self.connection.endpoint.server_name:
            arguments["server_hostname"] = name
        try:
            return await self._session.request(method, url, allow_redirects=False, **arguments)
        except (RuntimeError, AssertionError):
            # What aiohttp raises for a request whose session is closed meanwhile.
            if self.closed:
                raise aiohttp.ClientConnectionError("the client of the API server was closed") from None
            raise

    def enter(self) -> None:
        """A request begins."""
        self._running += 1

    async def left(self) -> None:
        """A request is over."""
        self._running -= 1
        if self._retired and not self._running:
            await self.close()

    async def retire(self) -> None:
        """No new request will come."""
        self._retired = True
        if not self._running:
            await self.close()

    async def close(self) -> None:
        """Close every connection, those of running requests too."""
        await self._session.close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._session.closed


def _context(endpoint: Endpoint) -> ssl.SSLContext:
    """TLS toward the API server. Blocks for a moment.

    Raises:
        OSError: a file is missing, or holds no certificate or key.
        ValueError: the same, of a file of other bytes.
    """
    context = ssl.create_default_context(cafile=endpoint.ca_file or None)
    if endpoint.certificate:
        context.load_cert_chain(endpoint.certificate, endpoint.key or None)
    if not endpoint.verify:
        # insecure-skip-tls-verify of a kubeconfig, as kubectl understands it; a pod's ServiceAccount cannot say so.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


logger = logging.getLogger("connectors.kube")

# Seconds between looks at the files: the kubelet renews a token long before it ends, and rotated CAs overlap.
RELOAD_EVERY = 60.0

# Bytes of an answer of failure that are read: a metav1.Status is smaller, a broken proxy's page needs no more.
ERROR_BODY = 64 * 1024

_FAILURES = (aiohttp.ClientError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class KubeRequest:
    """One request. `verb` and `plural` are what metrics call it. `body` has no repr: it may be a token to review."""

    verb: str
    method: str
    plural: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = field(default=None, repr=False)
    accept: str = "application/json"
    media_type: str = "application/json"

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


class _UntrustedError(UnavailableError):
    """The handshake failed: perhaps the CA is a new one."""


class KubeResponse:
    """An answer of success whose body has not been read yet. Close it."""

    def __init__(self, session: KubeSession, response: aiohttp.ClientResponse) -> None:
        self._session = session
        self._response = response

    async def read(self) -> bytes:
        """The whole body.

        Raises:
            UnavailableError: it broke off.
        """
        try:
            return await self._response.read()
        except _FAILURES as error:
            raise UnavailableError(f"the API server's answer broke off: {_text(error)}") from None

    async def piece(self) -> bytes:
        """What has arrived of the body, empty at its end.

        Raises:
            SilentError: nothing came for as long as the request's timeout says.
            UnavailableError: it broke off.
        """
        try:
            return await self._response.content.readany()
        except aiohttp.ClientPayloadError:
            # Its own text is about the framing of chunks.
            raise UnavailableError("the API server closed the connection") from None
        except aiohttp.SocketTimeoutError as error:
            raise SilentError(f"the API server sent nothing: {_text(error)}") from None
        except _FAILURES as error:
            raise UnavailableError(f"the connection to the API server broke: {_text(error)}") from None

    async def close(self) -> None:
        """Give the connection back, or close it if the body was not read to its end."""
        self._response.close() if not self._response.content.at_eof() else self._response.release()
        await self._session.left()


class Transport:
    """The current session, and when to look for a new one."""

    def __init__(self, access: Access, user_agent: str, clock: Clock) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self._access = access
        self._user_agent = user_agent
        self._clock = clock
        self._session: KubeSession | None = None
        self._retired: list[KubeSession] = []
        self._looked = clock.monotonic()
        self._lock = asyncio.Lock()
        self._closed = False
        self._tell: list[Callable[[], None]] = []

    @property
    def connection(self) -> Connection | None:
        """The access that requests are sent with now; None while no session is open."""
        return self._session.connection if self._session else None

    def on_renewal(self, tell: Callable[[], None]) -> None:
        """Call `tell` after each change of the connection."""
        self._tell.append(tell)

    async def start(self) -> None:
        """Read the access.

        Raises:
            AccessError: there is none.
        """
        if self._session is None:
            self._session = KubeSession(await load(self._access))
            self._looked = self._clock.monotonic()

    async def close(self) -> None:
        """Close every session."""
        self._closed = True
        for session in (self._session, *self._retired):
            if session is not None:
                await session.close()
        self._session, self._retired = None, []

    async def open(self, request: KubeRequest, limits: aiohttp.ClientTimeout) -> KubeResponse:
        """Send it, and once more if a new credential or CA turns up after a 401 or a failed handshake.

        Raises:
            KubeError: no answer came, or one of failure.
        """
        session = await self._current()
        try:
            return await self._send(session, request, limits)
        except (UnauthorizedError, _UntrustedError):
            if not await self._renewed(session):
                raise
        return await self._send(await self._current(), request, limits)

    async def _current(self) -> KubeSession:
        if self._session is not None and self._clock.monotonic() - self._looked >= RELOAD_EVERY:
            self._looked = self._clock.monotonic()
            if self._session.connection.changed_on_disk():
                await self._renewed(self._session)
        if self._session is None:
            raise UnavailableError("the client of the API server is not open")
        return self._session

    async def _renewed(self, old: KubeSession) -> bool:
        """Read the access again. Returns whether the session is another than `old` now."""
        async with self._lock:
            if self._closed or self._session is not old:
                return not self._closed
            try:
                connection = await load(self._access)
                if connection.same_as(old.connection):
                    return False
                session = KubeSession(connection)
            except AccessError as error:
                # Perhaps half written. What was read before may still be good.
                logger.warning("the access to the API server cannot be read again, the old one stays: %s", error)
                return False
            self._session = session
            self._retired = [retired for retired in (*self._retired, old) if not retired.closed]
        await old.retire()
        logger.info("the credential or CA for the API server changed: read again")
        for tell in self._tell:
            tell()
        return True

    async def _send(self, session: KubeSession, request: KubeRequest, limits: aiohttp.ClientTimeout) -> KubeResponse:
        code = "0"
        session.enter()
        try:
            response = await self._request(session, request, limits)
            code = str(response.status)
            if 200 <= response.status < 300:
                return KubeResponse(session, response)
            error = await _refusal(response)
        except aiohttp.ClientSSLError as broken:
            error = _UntrustedError(f"no trusted TLS connection to the API server: {_text(broken)}")
        except aiohttp.ClientConnectorError as broken:
            error = UnavailableError(f"no answer from the API server: {_text(broken)}")
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as broken:
            error = ConnectionLostError(f"no answer from the API server: {_text(broken)}")
        except _FAILURES as broken:
            error = UnavailableError(f"no answer from the API server: {_text(broken)}")
        except BaseException:
            await session.left()
            raise
        finally:
            self.requests[request.verb, request.plural, code] += 1
        await session.left()
        raise error from None

    async def _request(
        self, session: KubeSession, request: KubeRequest, limits: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {"User-Agent": self._user_agent, "Accept": request.accept}
        if session.connection.authorization:
            headers["Authorization"] = session.connection.authorization
        data = None
        if request.body is not None:
            headers["Content-Type"] = request.media_type
            data = msgspec.json.encode(request.body)
        url = f"{session.connection.endpoint.host}{request.target}"
        return await session.request(request.method, url, headers=headers, data=data, timeout=limits)


async def _refusal(response: aiohttp.ClientResponse) -> KubeError:
    try:
        body = await response.content.read(ERROR_BODY) if response.content_length != 0 else b""
        while len(body) < ERROR_BODY and (piece := await response.content.read(ERROR_BODY - len(body))):
            body += piece
    except _FAILURES:
        body = b""
    response.close() if not response.content.at_eof() else response.release()
    return failure(response.status, body, response.headers.get("Retry-After", ""))


def _text(error: BaseException) -> str:
    """The error's text for an operator. A timeout has no text of its own."""
    return (str(error) or type(error).__name__)[:300]
