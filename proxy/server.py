"""The listener: accepts connections, knows which are open, and ends them in order."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable
from typing import cast

from connectors.objects.reasons import Refusal
from connectors.process.listening import Acceptor, Shared
from proxy.client import ClientConnection, ClientTerms, Requests
from proxy.outbox import Outbox
from proxy.refusals import Answered, refusal_response
from proxy.secured import Secured
from proxy.settings import ProxySettings
from proxy.watchdog import Watchdog

# Connections that wait for accept(); the kernel caps it at net.core.somaxconn.
BACKLOG = 4096

logger = logging.getLogger(__name__)


class _NoRoom(asyncio.Protocol):
    """A connection that is one too many."""

    def __init__(self, gone: Callable[[], None]) -> None:
        self._gone = gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()


class Server:
    """One listening address and its client connections."""

    def __init__(
        self,
        settings: ProxySettings,
        watchdog: Watchdog,
        requests: Requests,
        outbox: Outbox,
        on_malformed: Callable[[Refusal], str],
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """`tls`: how clients are served over TLS; None: they speak plain HTTP."""
        self._settings = settings
        self._tls = tls
        self._on_malformed = on_malformed
        limits, timeouts = settings.limits, settings.timeouts
        self._terms = ClientTerms(limits, timeouts, watchdog, requests, outbox, self._refuse, self._gone)
        self._connections: set[ClientConnection] = set()
        if hasattr(socket, "TCP_INFO"):  # Linux; elsewhere a paused client's leaving shows at the next write
            watchdog.on_tick(self._look_for_peers)
        self._listener: asyncio.Server | None = None
        self._acceptor: Acceptor | None = None
        self._bound: list[tuple[str, int]] = []
        self._all_gone: asyncio.Event = asyncio.Event()
        self._silent_until = 0.0

    async def start(self, shared: Shared | None = None) -> None:
        """Begin to accept, from `shared` sockets, which other processes accept from too, if they are given.

        Raises:
            OSError: the address cannot be listened on.
        """
        if shared:
            self._bound = [listener.getsockname() for listener in shared.listeners]
            self._acceptor = Acceptor(shared, self._connected)
            self._acceptor.start()
            return
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._connected, self._settings.host, self._settings.port, backlog=BACKLOG
        )
        # Once: every connection to a tool is compared with it.
        self._bound = [listener.getsockname() for listener in self._listener.sockets]

    @property
    def port(self) -> int:
        """The port that is listened on: the kernel's choice where the settings said 0."""
        return int(self._bound[0][1])

    def is_own_address(self, ip: str, port: int, local_ip: str) -> bool:
        """Whether ip:port is this listener. `local_ip` is this end of a connection to it, "" before there is one."""
        for host, own_port, *_ in self._bound:
            if port != own_port:
                continue
            own, other = _plain(host), _plain(ip)
            if other == own or (own.is_unspecified and (other.is_loopback or ip == local_ip)):
                return True
        return False

    async def drain(self, seconds: float) -> None:
        """Stop accepting, close idle connections, wait for running requests, at most `seconds`; then cut them off.

        So too where it is cancelled: the process ends, and the kernel would close them as if all had been said.
        """
        if self._listener:
            self._listener.close()
        if self._acceptor:
            self._acceptor.close()
            await self._acceptor.connected()
        for connection in list(self._connections):
            connection.drain()
        if self._connections:
            try:
                async with asyncio.timeout(seconds):
                    await self._all_gone.wait()
            except TimeoutError:
                pass
            finally:
                for connection in list(self._connections):
                    connection.abort()

    def _look_for_peers(self) -> None:
        for connection in list(self._connections):
            connection.look_for_peer()

    def _connected(self) -> asyncio.Protocol:
        if len(self._connections) >= self._settings.limits.connections:
            self._say_full()
            return _NoRoom(self._over)
        connection = ClientConnection(self._terms)
        protocol = Secured(self._tls(), connection) if self._tls else connection
        self._connections.add(connection)
        self._all_gone.clear()
        return protocol

    def _say_full(self) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + 60.0
            limit = self._settings.limits.connections
            logger.warning("%d client connections are open: new ones are closed; see --max-connections", limit)

    def _over(self) -> None:
        if self._acceptor:
            self._acceptor.gone()

    def _gone(self, connection: ClientConnection) -> None:
        if connection in self._connections:
            self._over()
        self._connections.discard(connection)
        if not self._connections:
            self._all_gone.set()

    def _refuse(self, refusal: Refusal, connection: ClientConnection) -> None:
        """Answer a head that could not be parsed: there is no request, and behind it nothing can be trusted."""
        request_id = self._on_malformed(refusal)
        connection.write(refusal_response(refusal, time.time(), Answered(request_id)))


def _plain(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; of an IPv4-mapped one (RFC 4291 section 2.5.5.2) the IPv4 address that it reaches."""
    address = ipaddress.ip_address(ip)
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
