"""Sends one HTTP request and returns the answer, whatever it says: no redirect is followed, nothing is kept.

Every request has a connection and a lookup of its own, so two of them share nothing (threat 13). Probes go this way,
and so does whatever else this project asks a tool by itself, such as the realm of a token: the guard judges their
addresses too.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from connectors.dial.dialer import Dialer, connected_socket
from connectors.dial.failure import dial_failure, exchange_failure
from connectors.dial.kind import DialFailure
from connectors.dial.tunnel import connected_through, login_failure
from connectors.dial.upstream_proxy import UpstreamProxy, absolute_form
from connectors.http.head import write_request
from connectors.http.message import TARGET, MessageError, RequestHead
from connectors.http.response import Response
from connectors.http.response_reader import ResponseReader
from connectors.objects.addresses import Address
from connectors.objects.secret import SecretValue
from connectors.tls.pool import SYSTEM_TLS, ClientTls

# Bytes that are read before others have a turn: in chunks of one byte, 10 ms.
READ = 16 * 1024
# Bytes of a connection, without those of TLS: a body of 1 MiB in chunks of one byte is 6 MiB.
MAX_RECEIVED = 10 * 1024 * 1024

# Fields of a request's own that are left out: they are about the connection, or are sent once, as this module says.
OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Servers expect no body with these methods; with others, some want Content-Length: 0 (RFC 9110 section 8.6).
_WITHOUT_CONTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FetchFailedError(Exception):
    """The tool did not answer. `failure` says why."""

    def __init__(self, failure: DialFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. `address` says where it goes (its path is not used), `target` is path and query, in ASCII.

    `namespace`: of the Connector that it is about, "" of none. `proxy`: the one on the way, None if there is none.
    """

    method: str
    address: Address
    target: SecretValue
    headers: tuple[tuple[str, SecretValue], ...] = ()
    tls: ClientTls = SYSTEM_TLS
    namespace: str = ""
    proxy: UpstreamProxy | None = None

    @property
    def dialled(self) -> Address:
        """Where the connection goes to."""
        return self.proxy.address if self.proxy else self.address


class HttpClient:
    """Sends requests by way of one Dialer. What is being sent when it closes fails."""

    def __init__(self, dialer: Dialer, user_agent: str) -> None:
        self._dialer = dialer
        self._user_agent = user_agent
        self._running: set[asyncio.StreamWriter] = set()
        self._closed = False

    async def send(self, request: HttpRequest, *, read_body: bool) -> Response:
        """One request, one answer. Without `read_body` the body is left where it is, and `complete` is False.

        It has no timeout: the caller puts one around it. If it is cancelled, it drops the connection.

        Raises:
            FetchFailedError: the tool did not answer. It has no other exception as its context, and so quotes none.
            ValueError: the request cannot be sent as it is; the message does not quote it.
        """
        # Made to be refused before anything is dialled, and made again to be written: no copy of a credential waits.
        _head(request, self._user_agent)
        try:
            outcome = await self._outcome(request, read_body=read_body)
        except asyncio.CancelledError:
            # The caller's time was over: perhaps the tool has moved from these addresses.
            self._dialer.failed(request.dialled)
            raise
        if isinstance(outcome, DialFailure):
            self._dialer.failed(request.dialled)
            # Outside of any `except`: a library's words name the addresses that a name server chose.
            raise FetchFailedError(outcome)
        return outcome

    def close(self) -> None:
        """Drop every connection."""
        self._closed = True
        for writer in self._running:
            writer.transport.abort()

    async def _outcome(self, request: HttpRequest, *, read_body: bool) -> Response | DialFailure:
        address, proxy = request.address, request.proxy
        answer = ResponseReader(request.method.encode(), read_body=read_body)
        if self._closed:
            return exchange_failure(ConnectionAbortedError(), address, begun=False)
        try:
            candidates = await self._dialer.candidates(address, request.namespace, proxy)
            streams = await self._dialer.connected(
                address, request.tls, lambda context: _opened(candidates, request, context)
            )
        except OSError as error:
            return dial_failure(error, address, proxy.name if proxy else "")
        try:
            with self._kept(streams[1]):
                streams[1].write(_head(request, self._user_agent))
                response = await _answered(streams[0], answer)
        except (MessageError, OSError) as error:
            return exchange_failure(error, address, begun=answer.begun)
        if response.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED and proxy and not proxy.needs_tunnel(address):
            return login_failure(proxy)
        return response

    @contextmanager
    def _kept(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Keep the connection while it is in use, then drop it: to end TLS in order would mean waiting for the peer."""
        self._running.add(writer)
        try:
            if self._closed:
                raise ConnectionAbortedError
            yield
        finally:
            self._running.discard(writer)
            writer.transport.abort()


async def _opened(candidates: Sequence[str], request: HttpRequest, context: ssl.SSLContext | None) -> Streams:
    """A connection to one of the candidates; with `context`, one that was verified under the address's name."""
    address, proxy = request.address, request.proxy
    name = address.server_name if context else None
    if proxy is None:
        dialled = await connected_socket(candidates, address.port)
    else:
        dialled = await connected_through(candidates, proxy, address)
    return await asyncio.open_connection(sock=dialled, ssl=context, server_hostname=name, limit=READ)


async def _answered(reader: asyncio.StreamReader, answer: ResponseReader) -> Response:
    """The answer, however long it takes. A connection that has brought MAX_RECEIVED bytes counts as ended.

    Raises:
        MessageError: it is not HTTP/1.1, or breaks off.
        OSError: the connection broke.
    """
    left = MAX_RECEIVED
    while data := await reader.read(min(READ, left)):
        left -= len(data)
        response = answer.feed(data)
        if response is not None:
            return response
        # A read of what has come already does not give the event loop a turn.
        await asyncio.sleep(0)
    if not answer.begun:
        raise ConnectionAbortedError
    return answer.end()


def _head(request: HttpRequest, user_agent: str) -> bytes:
    """The request as bytes: a head, since no body is sent.

    Raises:
        ValueError: something in it could end a line, or the request; the message does not quote it.
    """
    target = request.target.reveal()
    if not TARGET.fullmatch(target):
        raise ValueError("the target is not a path of visible ASCII that begins with a slash and has no fragment")
    if not _TOKEN.fullmatch(request.method):
        raise ValueError("the method is not a token (RFC 9110 section 5.6.2)")
    own = [(name, value) for name, value in request.headers if name.lower() not in OURS]
    named = {name.lower() for name, _ in own}
    fields = [(b"Host", request.address.authority), (b"Accept-Encoding", b"identity")]
    fields += [_field(name, value) for name, value in own]
    if "accept" not in named:
        fields.append((b"Accept", b"*/*"))
    if "user-agent" not in named:
        fields.append((b"User-Agent", user_agent.encode()))
    if request.method not in _WITHOUT_CONTENT:
        fields.append((b"Content-Length", b"0"))
    fields.append((b"Connection", b"close"))
    head = RequestHead(request.method.encode(), target, tuple(fields))
    if request.proxy is not None and not request.proxy.needs_tunnel(request.address):
        head = absolute_form(request.proxy, request.address, head)
    return write_request(head)


def _field(name: str, secret: SecretValue) -> tuple[bytes, bytes]:
    if not _TOKEN.fullmatch(name):
        raise ValueError("a header's name is not a token (RFC 9110 section 5.6.2)")
    value = secret.reveal()
    try:
        value.decode()
    except UnicodeDecodeError:
        raise ValueError(f"the value of header {name} is not UTF-8") from None
    if _CONTROL.search(value):
        raise ValueError(f"the value of header {name} has control characters")
    return name.encode(), value
