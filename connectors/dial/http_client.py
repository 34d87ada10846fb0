"""Sends one HTTP request and returns the answer, whatever it says: no redirect is followed, nothing is kept.

Every request has a connection, a session and a lookup of its own, so two of them share nothing (threat 13). A session
costs some ten microseconds; a connection is opened anew each time anyhow. Probes go this way, and whatever else this
project asks a tool by itself, such as the realm of a token: what must not be dialled is not dialled for these either.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from multidict import CIMultiDict
from yarl import URL

from connectors.dial.dial import Dial
from connectors.dial.dialer import Dialer
from connectors.dial.exchange_failure import ExchangeFailedError, exchange_failure
from connectors.dial.issuers import WrongIssuerError, is_wrong_issuer
from connectors.dial.kind import Failure
from connectors.dial.reading import BoundedConnector
from connectors.http.message import TARGET
from connectors.http.response import Response
from connectors.objects.addresses import Address
from connectors.objects.secret import SecretValue
from connectors.tls.pool import SYSTEM_TLS, ClientTls

MAX_BODY = 1024 * 1024
"""Bytes of a body that are read. A check looks at a status page of some KiB; a thousand probes at once cost a GiB."""
MAX_LINE = 16 * 1024
"""Bytes of a status line or a header field: above what tools send, their Content-Security-Policy included."""
MAX_FIELDS = 128
"""Header fields of an answer, as many as the proxy takes: with MAX_LINE, a head ends after 2 MiB at the latest."""

OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Fields of a request's own that are left out: they are about the connection, or are sent once, as this module says."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)
"""Its caller has one, around all that it asks."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `address` says where it goes (its path is not used), `target` is path and query, in ASCII."""

    method: str
    address: Address
    target: SecretValue
    headers: tuple[tuple[str, SecretValue], ...] = ()
    tls: ClientTls = SYSTEM_TLS


class HttpClient:
    """Sends requests by way of one Dialer. What is being sent when it closes fails."""

    def __init__(self, dialer: Dialer, user_agent: str) -> None:
        self._dialer = dialer
        self._user_agent = user_agent
        self._running: set[aiohttp.ClientSession] = set()
        self._closed = False

    async def send(self, request: HttpRequest, *, read_body: bool) -> Response:
        """One request, one answer. Without `read_body` the body is left where it is, and `complete` is False.

        There is no timeout: put one around it. When cancelled, it drops the connection.

        Raises:
            ExchangeFailedError: there is no answer. Its context holds no other exception, so none of their words.
            ValueError: the request cannot be sent as it is; the message does not quote it.
        """
        url, headers = _url(request), _headers(request, self._user_agent)
        try:
            outcome = await self._outcome(request, url, headers, read_body=read_body)
        except asyncio.CancelledError:
            # Its time was over: perhaps nobody is at these addresses any more.
            self._dialer.failed(request.address)
            raise
        if isinstance(outcome, Failure):
            self._dialer.failed(request.address)
            # Outside of any `except`: what aiohttp raises holds the URL and every header (threat 14).
            raise ExchangeFailedError(outcome)
        return outcome

    async def close(self) -> None:
        """Drop every connection."""
        self._closed = True
        for session in list(self._running):
            await session.close()

    async def _outcome(
        self, request: HttpRequest, url: URL, headers: CIMultiDict[str], *, read_body: bool
    ) -> Response | Failure:
        async def attempt(context: ssl.SSLContext | None) -> Response:
            dial = Dial(candidates)
            session = self._session(dial, context, request)
            try:
                return await _exchange(session, request.method, url, headers, read_body=read_body)
            finally:
                dial.drop()
                self._running.discard(session)
                await session.close()

        try:
            candidates = await self._dialer.candidates(request.address)
            return await self._dialer.connected(request.address, request.tls, attempt)
        except ExchangeFailedError as stopped:
            return stopped.failure
        except (aiohttp.ClientError, OSError) as error:
            return exchange_failure(error, request.address)

    def _session(self, dial: Dial, context: ssl.SSLContext | None, request: HttpRequest) -> aiohttp.ClientSession:
        if self._closed:
            raise aiohttp.ClientConnectionError

        async def once(sent: ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            # aiohttp sends a GET again whose connection was lost. It lets this exception through.
            try:
                return await handler(sent)
            except (aiohttp.ClientError, OSError) as error:
                raise _stopped(error, request.address) from None

        connector = BoundedConnector(
            asyncio.get_running_loop(), ssl=context or True, resolver=dial, socket_factory=dial.socket,
            use_dns_cache=False, force_close=True,
        )  # fmt: skip
        session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), middlewares=(once,), timeout=_NO_TIMEOUT,
            trust_env=False, auto_decompress=False, skip_auto_headers=("Content-Type",), max_line_size=MAX_LINE,
            max_field_size=MAX_LINE, max_headers=MAX_FIELDS,
        )  # fmt: skip
        self._running.add(session)
        return session


def _stopped(error: aiohttp.ClientError | OSError, address: Address) -> ExchangeFailedError:
    failure = exchange_failure(error, address)
    if isinstance(error, aiohttp.ClientConnectorCertificateError) and is_wrong_issuer(error.certificate_error):
        return WrongIssuerError(failure)
    return ExchangeFailedError(failure)


async def _exchange(
    session: aiohttp.ClientSession, method: str, url: URL, headers: CIMultiDict[str], *, read_body: bool
) -> Response:
    answer = await session.request(method, url, headers=headers, allow_redirects=False)
    try:
        # What is no UTF-8 is nothing that a check could ask for.
        fields = tuple(
            (name.decode(errors="replace"), value.decode(errors="replace")) for name, value in answer.raw_headers
        )
        body = await _body(answer.content) if read_body else b""
        return Response(answer.status, fields, body[:MAX_BODY], read_body and len(body) <= MAX_BODY)
    finally:
        answer.close()


async def _body(content: aiohttp.StreamReader) -> bytes:
    """The body, or its first MAX_BODY bytes and one more or some."""
    read = bytearray()
    while len(read) <= MAX_BODY and (piece := await content.read(MAX_BODY + 1 - len(read))):
        read += piece
    return bytes(read)


def _url(request: HttpRequest) -> URL:
    target = request.target.reveal()
    if not TARGET.fullmatch(target):
        raise ValueError("the target is not a path of visible ASCII that begins with a slash and has no fragment")
    address = request.address
    # All of it as the path: yarl would take a '?' that nothing follows for no part of the URL.
    # It keeps the last 128 URLs in memory, a Secret's key in them too; they are never shown from there.
    return URL.build(scheme=address.scheme, authority=address.authority.decode(), path=target.decode(), encoded=True)


def _headers(request: HttpRequest, user_agent: str) -> CIMultiDict[str]:
    if not _TOKEN.fullmatch(request.method):
        raise ValueError("the method is not a token (RFC 9110 section 5.6.2)")
    own = [(name, _value(name, value)) for name, value in request.headers if name.lower() not in OURS]
    headers = CIMultiDict({"Host": request.address.authority.decode(), "Accept-Encoding": "identity"})
    headers.extend(own)
    headers.setdefault("Accept", "*/*")
    headers.setdefault("User-Agent", user_agent)
    return headers


def _value(name: str, secret: SecretValue) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header's name is not a token (RFC 9110 section 5.6.2)")
    try:
        value = secret.reveal().decode()
    except UnicodeDecodeError:
        raise ValueError(f"the value of header {name} is not UTF-8") from None
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of header {name} has control characters")
    return value
