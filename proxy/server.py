"""The listener: accepts connections, knows which are open, and ends them in order."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from connectors.http.head import ParsedRequest
from connectors.http.plain import Plain
from connectors.objects.reasons import Reason, Refusal
from connectors.process.listening import Acceptor, Shared, listen
from connectors.process.resident import container_limit, give_back, resident
from proxy.buffers import SPEAKS_PLAIN, Piece, write_now
from proxy.client import ClientConnection
from proxy.holding import COST, COST_SEALED, Holding, Turn
from proxy.outbox import Outbox
from proxy.refusals import Answered, refusal_response
from proxy.secured import Secured
from proxy.settings import Limits, ProxySettings, Timeouts
from proxy.slots import Closed, Slots
from proxy.watchdog import Watchdog

# Connections that wait for accept(); the kernel caps it at net.core.somaxconn.
BACKLOG = 4096

_NUMERIC = re.compile(r"[0-9.]+|.*:.*")
_SAID = {
    Closed.MADE_ROOM: "%d client connections are open: those of the clients with the most that have waited longest "
    "are closed for new ones; see --max-connections and --max-connections-per-client",
    Closed.NO_ROOM: "%d client connections are open, and requests run on all that could make room: new ones are "
    "closed; see --max-connections",
    Closed.CLIENT_LIMIT: "%d client connections are open; of one client as many as it may have, all with requests: "
    "its new ones are closed; see --max-connections-per-client",
    Closed.MEMORY: "%d client connections hold more than --max-memory, or soon could: new ones are closed, then those "
    "that wait and hold most",
}
HAS_ROOM = "%d client connections hold less than 90 %% of --max-memory: new ones are taken again"
# To a client that is closed before it has asked; one that speaks TLS would take it for something else.
SHED = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
SPEAKS_TLS = "a client speaks plain HTTP, and this port TLS: use https://"

logger = logging.getLogger(__name__)


class Requests(Protocol):
    """Runs the requests of connections (proxy/exchange.py), and calls `over` of the connection at the end of each."""

    def begin(self, data: bytes, client: ClientConnection) -> bool:
        """Begin the request that `data` begins with, if its head is known; whether it was."""

    def handle(self, request: ParsedRequest, client: ClientConnection, plain: Plain | None) -> None:
        """Begin a request that was parsed. `plain` is its head apart, where that came whole and plain."""


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """What client connections are bound by.

    `came` tells whether there is a place for one, `gone` hears of its end; `refuse` answers a head that cannot be read;
    they are read into `piece`.
    """

    limits: Limits
    timeouts: Timeouts
    watchdog: Watchdog
    requests: Requests
    outbox: Outbox
    came: Callable[[ClientConnection], bool]
    refuse: Callable[[Refusal, ClientConnection], None]
    gone: Callable[[ClientConnection], None]
    piece: Piece = field(default_factory=Piece)


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
        self._slots = Slots(limits.connections, limits.connections_per_client)
        self._terms = ClientTerms(limits, timeouts, watchdog, requests, outbox, self._came, self._refuse, self._gone)
        self._connections: set[ClientConnection] = set()
        if hasattr(socket, "TCP_INFO"):  # Linux; elsewhere a paused client's leaving shows at the next write
            watchdog.on_tick(self._look_for_peers)
        self._listening: list[asyncio.Server] = []
        self._holding = Holding(lambda: _memory_for(settings))
        self._next_look = 0.0
        watchdog.on_tick(self._look_at_memory)
        self._acceptor: Acceptor | None = None
        self._bound: list[tuple[str, int]] = []
        self._all_gone: asyncio.Event = asyncio.Event()
        self._silent_until: dict[str, float] = {}

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
        listeners = await listen(self._settings.host, self._settings.port, BACKLOG)
        # Once: every connection to a tool is compared with it.
        self._bound = [listener.getsockname() for listener in listeners]
        self._listening = [
            await loop.create_server(self._connected, sock=listener, backlog=BACKLOG) for listener in listeners
        ]

    @property
    def slots(self) -> Slots:
        """Who holds its places."""
        return self._slots

    @property
    def port(self) -> int:
        """The port that is listened on: the kernel's choice where the settings said 0."""
        return int(self._bound[0][1])

    def is_own_address(self, ip: str, port: int, local_ip: str) -> bool:
        """Whether ip:port is this listener, or another of this process.

        `local_ip` is this end of a connection to it, "" before there is one.
        """
        others = [(where.host, where.port) for where in self._settings.installation.listens if where.port]
        for host, own_port, *_ in (*self._bound, *others):
            if port != own_port:
                continue
            # A name of this machine's may stand for any of its addresses.
            own, other = _plain(host if _NUMERIC.fullmatch(host) else "::"), _plain(ip)
            if other == own or (own.is_unspecified and (other.is_loopback or ip == local_ip)):
                return True
        return False

    async def drain(self, seconds: float) -> None:
        """Stop accepting, close idle connections, wait for running requests, at most `seconds`; then cut them off.

        So too where it is cancelled: the process ends, and the kernel would close them as if all had been said.
        """
        for listening in self._listening:
            listening.close()
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

    def _look_at_memory(self) -> None:
        """Once a second: 1 us for each connection."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + 1.0
        held = [(connection, self._held(connection)) for connection in self._connections]
        holding = self._holding
        turn = holding.look(sum(size for _, size in held), len(self._slots))
        self._slots.held = holding.held
        if turn is Turn.BEGINS:
            self._say(_SAID[Closed.MEMORY], now, len(self._slots))
        elif turn is Turn.ENDS:
            self._say(HAS_ROOM, now, len(self._slots))
        elif turn is Turn.GOES_ON:
            self._slots.shed(held, holding.excess)
        if holding.worth_giving_back():
            give_back()

    def _held(self, connection: ClientConnection) -> int:
        transport = connection.transport
        unsent = transport.get_write_buffer_size() if transport is not None else 0
        return COST + (COST_SEALED if self._tls else 0) + connection.held + unsent

    def _connected(self) -> asyncio.BaseProtocol:
        connection = ClientConnection(self._terms)
        protocol = Secured(self._tls(), connection, answer_plain=self._answer_plain) if self._tls else connection
        self._connections.add(connection)
        self._all_gone.clear()
        return protocol

    def _came(self, connection: ClientConnection) -> bool:
        """Whether there is a place for it, and memory."""
        now, made_room = time.monotonic(), self._slots.closed[Closed.MADE_ROOM]
        if not self._holding.has_room(len(self._slots) + 1):
            self._slots.closed[Closed.MEMORY] += 1
            self._say(_SAID[Closed.MEMORY], now, len(self._slots))
            if not self._tls and connection.transport is not None:
                write_now(connection.transport, (SHED,))
            return False
        refused = self._slots.take(connection, connection.peer, now)
        if self._slots.closed[Closed.MADE_ROOM] != made_room:
            self._say(_SAID[Closed.MADE_ROOM], now, len(self._slots))
        if refused:
            self._say(_SAID[refused], now, len(self._slots))
        return refused is None

    def _say(self, what: str, now: float, *told: object) -> None:
        """Once a minute."""
        if now >= self._silent_until.get(what, now):
            self._silent_until[what] = now + 60.0
            logger.warning(what, *told)

    def _gone(self, connection: ClientConnection) -> None:
        self._slots.leave(connection)
        self._connections.discard(connection)
        if self._acceptor:
            self._acceptor.gone()
        if not self._connections:
            self._all_gone.set()

    def _refuse(self, refusal: Refusal, connection: ClientConnection) -> None:
        """Answer a head that could not be parsed: there is no request, and behind it nothing can be trusted."""
        if refusal.message == SPEAKS_PLAIN:
            self._say(SPEAKS_PLAIN, time.monotonic())
        request_id = self._on_malformed(refusal)
        connection.write(refusal_response(refusal, time.time(), Answered(request_id)))

    def _answer_plain(self) -> bytes:
        """What a client gets that speaks plain HTTP to a TLS port; nginx and Apache answer the same way."""
        self._say(SPEAKS_TLS, time.monotonic())
        refusal = Refusal(Reason.REQUEST_MALFORMED, SPEAKS_TLS)
        return refusal_response(refusal, time.time(), Answered(self._on_malformed(refusal)))


def _memory_for(settings: ProxySettings) -> int:
    """Bytes that connections may hold: by default this process's share of the container's, less what is taken now."""
    if settings.limits.memory is not None:
        return settings.limits.memory
    # The process that has started the workers takes about as much as one of them.
    limit, processes = container_limit(), settings.workers + (settings.workers > 1)
    return max(1, (limit - processes * resident()) // settings.workers) if limit else 0


def _plain(ip: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; of an IPv4-mapped one (RFC 4291 section 2.5.5.2) the IPv4 address that it reaches."""
    address = ipaddress.ip_address(ip)
    return (address.ipv4_mapped or address) if isinstance(address, ipaddress.IPv6Address) else address
