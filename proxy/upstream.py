"""Connections toward tools: one pool per (Connector, origin, trust generation), so that tenants share nothing."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterator
from typing import Protocol, cast
from weakref import WeakValueDictionary

from connectors.dial.dialer import Dialer
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import Address, unmapped
from connectors.objects.ceilings import NO_CEILINGS, Ceiling, Ceilings
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.plan import Plan, PoolKey
from connectors.snapshot import Snapshot
from connectors.tls.pool import ClientTls
from proxy.buffers import UNSENT, ZEROS, InPieces, Piece
from proxy.dialling import Dialling
from proxy.load import Load
from proxy.secured_tool import Sessions
from proxy.settings import Timeouts
from proxy.watchdog import NEVER, Watchdog

# Idle connections of a pool that are kept for long: nginx's examples say 16 to 64; each costs the tool a worker with
# some servers.
FEW_IDLE = 64
# Idle connections of a pool: those beyond FEW_IDLE are kept for SHORTLY, for clients that come all at once.
MAX_IDLE_PER_POOL = 512
# Seconds. With many clients, the next request comes long before.
SHORTLY = 2.0
# Seconds of idleness after which a pooled connection is not used for a request that cannot be repeated.
#
# Tools close idle connections from about 5 s on; a POST that meets the closing is lost, and no proxy may send it twice.
MAX_IDLE_TO_REPEAT_NOTHING = 2.0
_KEEP_ALIVE_TIMEOUT = re.compile(rb"timeout\s*=\s*([0-9]{1,6})", re.IGNORECASE)


def is_current(key: PoolKey, snapshot: Snapshot) -> bool:
    """Whether a request that begins now could use this pool: same Connector, address, Secret and CAs."""
    plan = snapshot.plans.get(key.connector)
    return plan is not None and key in _pools(plan)


def _pools(plan: Plan) -> Iterator[PoolKey]:
    """All that requests could use, those that ask to switch protocols too."""
    for target in plan.targets.values():
        yield target.pool
        if target.tunnel is not None:
            yield target.tunnel.pool


def outdated_pools(before: Plan | None, snapshot: Snapshot) -> Iterator[PoolKey]:
    """The pools that requests could use under the Plan before and cannot use now. Idle ones are among the former."""
    for pool in _pools(before) if before else ():
        if not is_current(pool, snapshot):
            yield pool


class Receiver(Protocol):
    """Who reads from an upstream connection while it is in use (proxy/relay.py)."""

    def from_upstream(self, data: bytes) -> None:
        """Bytes have arrived."""
        ...

    def upstream_lost(self, error: Exception | None) -> None:
        """The connection is gone; `error` is None if it was closed in order."""
        ...

    def upstream_writable(self, writable: bool) -> None:
        """Whether the tool takes more."""
        ...


class IdlePool:
    """The idle connections of one key, the most recently used last; `load` is that of its Connector."""

    __slots__ = ("__weakref__", "idle", "key", "load")

    def __init__(self, key: PoolKey, load: Load[UpstreamConnection] | None = None) -> None:
        self.key = key
        self.load: Load[UpstreamConnection] = load or Load()
        self.idle: list[UpstreamConnection] = []


class UpstreamConnection(InPieces):
    """One connection to a tool: in use by one relay, or idle in its pool, or gone.

    Everything that arrives goes to `receiver`; if there is none, what arrives was not asked for. `generation` is
    that in which its pool was last found current, `idle_since` 0 before its first answer. `transport` is what it goes
    over, None once it is gone. It is read into `piece`.
    """

    def __init__(self, pool: IdlePool, on_lost: Callable[[UpstreamConnection], None], piece: Piece) -> None:
        self._piece = piece.whole
        self.pool = pool
        self.deadline = NEVER
        self.idle_since = 0.0
        self.receiver: Receiver | None = None
        self.generation = 0
        self._on_lost = on_lost
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, and with TLS verified."""
        self.transport = cast("asyncio.Transport", transport)
        # Then the client is held back: no more than that and one read of the client's is unsent.
        self.transport.set_write_buffer_limits(UNSENT)

    def write(self, data: bytes) -> None:
        """Send to the tool."""
        if self.transport:
            self.transport.write(data)

    def pause_reading(self, paused: bool) -> None:
        """Stop or go on reading, as the client's side can take it."""
        if self.transport is None or self.transport.is_closing():
            return
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def close(self) -> None:
        """Close after what is still to be written."""
        if self.transport:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self.transport:
            self.transport.abort()

    @property
    def used_before(self) -> bool:
        """Whether it was idle once, and so can have died unseen."""
        return self.idle_since > 0.0

    @property
    def usable(self) -> bool:
        """Whether a request may still be written."""
        return self.transport is not None and not self.transport.is_closing()

    def peer(self) -> tuple[str, int, str]:
        """Address and port dialled, and this end's address."""
        if self.transport is None:
            return "", 0, ""
        peer = self.transport.get_extra_info("peername") or ("", 0)
        own = self.transport.get_extra_info("sockname") or ("", 0)
        return unmapped(str(peer[0])), int(peer[1]), unmapped(str(own[0]))

    def expired(self) -> None:
        """Idle for too long, or closing and not read from."""
        self.close() if self.usable else self.abort()

    def get_buffer(self, sizehint: int) -> memoryview:
        """For one read, of PIECE at most: the client may take nothing of it."""
        return self._piece

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        came = self._piece[:nbytes]
        data, came[:] = came.tobytes(), ZEROS[:nbytes]
        if self.receiver:
            self.receiver.from_upstream(data)
        else:
            self.abort()  # as in data_received; a call of it for each read would cost every request

    def data_received(self, data: bytes) -> None:
        """To the relay in charge."""
        if self.receiver:
            self.receiver.from_upstream(data)
        else:
            # An answer that was not asked for: what comes next could be taken for the next request's.
            self.abort()

    def pause_writing(self) -> None:
        """The tool reads more slowly than it is written to."""
        if self.receiver:
            self.receiver.upstream_writable(False)

    def resume_writing(self) -> None:
        """The tool has caught up."""
        if self.receiver:
            self.receiver.upstream_writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The tool, or this end, has closed."""
        self.transport = None
        self._on_lost(self)
        if self.receiver:
            self.receiver.upstream_lost(exc)


class Upstreams:
    """All connections toward tools: dials, keeps idle ones, hands them out again."""

    def __init__(
        self,
        timeouts: Timeouts,
        watchdog: Watchdog,
        dialer: Dialer,
        is_own_address: Callable[[str, int, str], bool],
        is_current: Callable[[PoolKey], bool] = lambda _: True,
        sessions: Sessions[PoolKey] | None = None,
    ) -> None:
        """`is_own_address(ip, port, local_ip)` knows this proxy; `is_current` which pools a request could still use."""
        self._timeouts = timeouts
        self._watchdog = watchdog
        self._sessions = sessions or Sessions(is_current)
        watchdog.on_tick(self._sessions.forget_old)
        self._dialling = Dialling(dialer, timeouts.connect, is_own_address, self._sessions)
        self._is_current = is_current
        self._all: set[UpstreamConnection] = set()
        # A pool is there for as long as a passage or a connection refers to it.
        self._pools: WeakValueDictionary[PoolKey, IdlePool] = WeakValueDictionary()
        # So is a Connector's load: it outlives a change of its Secret, and is shared by its addresses.
        self._loads: WeakValueDictionary[ConnectorKey, Load[UpstreamConnection]] = WeakValueDictionary()
        self._ceilings_of: Callable[[ConnectorKey], Ceilings] = lambda _: NO_CEILINGS
        self._generation = 1
        self._piece = Piece()

    def limit(self, ceilings_of: Callable[[ConnectorKey], Ceilings]) -> None:
        """What each Connector may use; without this word there is no limit. To be called before the first request."""
        self._ceilings_of = ceilings_of

    def bound(self, connector: ConnectorKey) -> None:
        """Its ceilings may have changed: they apply from now on. What runs goes on, and counts."""
        if (load := self._loads.get(connector)) is not None:
            load.bound(self._ceilings_of(connector))

    @property
    def active(self) -> int:
        """How many connections are in use."""
        return max(len(self._all) - self.idle, 0)  # a scrape asks from another thread, between two changes

    @property
    def idle(self) -> int:
        """How many connections wait in their pools."""
        # Their references at once: a scrape asks from another thread, and pools come and go meanwhile.
        return sum(len(pool.idle) for ref in self._pools.valuerefs() if (pool := ref()) is not None)

    def pool(self, key: PoolKey) -> IdlePool:
        """The pool of this key: the same one for as long as anything refers to it."""
        found = self._pools.get(key)
        if found is None:
            load = self._loads.get(key.connector)
            if load is None:
                load = self._loads[key.connector] = Load(self._ceilings_of(key.connector))
            found = self._pools[key] = IdlePool(key, load)
        return found

    def take(self, pool: IdlePool, now: float, *, repeatable: bool) -> UpstreamConnection | None:
        """An idle connection of this pool, the most recently used first; None if none is fit.

        `now` is the monotonic time; `repeatable`: whether the request could be sent again should the connection turn
        out to be dead.
        """
        idle = pool.idle
        while idle:
            # The last one that came back: those that a burst has left behind grow old unused, and are closed.
            connection = idle.pop()
            # The watchdog strikes late by up to its interval; the tool does not.
            fresh = repeatable or now - connection.idle_since <= MAX_IDLE_TO_REPEAT_NOTHING
            transport = connection.transport
            if fresh and now < connection.deadline and transport is not None and not transport.is_closing():
                connection.deadline = NEVER
                return connection
            connection.close()
        return None

    def give_back(self, connection: UpstreamConnection, now: float, keep_alive: bytes = b"") -> None:
        """Keep a connection whose last response has ended. `keep_alive` is the tool's Keep-Alive field, if any."""
        seconds = self._timeouts.upstream_idle
        if keep_alive and (limit := _KEEP_ALIVE_TIMEOUT.search(keep_alive)):
            # One second less than the tool says: its timer started before ours.
            seconds = min(seconds, float(limit[1]) - 1.0)
        # One of an earlier Secret, or of earlier CAs, has served its last request.
        if connection.generation != self._generation and not self._still_current(connection):
            connection.close()
            return
        pool = connection.pool
        idle = pool.idle
        if len(idle) >= FEW_IDLE:
            seconds = min(seconds, SHORTLY)
        if seconds <= 0 or len(idle) >= MAX_IDLE_PER_POOL or connection.transport is None:
            connection.close()
            return
        connection.idle_since = now
        if pool.load.line:
            connection.deadline = NEVER
            # Another address's turn: where it cannot be handed over it makes room, since it must not keep a place idle.
            if not pool.load.hand_over(connection, pool):
                connection.close()
            return
        connection.deadline = now + seconds
        idle.append(connection)

    def _still_current(self, connection: UpstreamConnection) -> bool:
        """Looked at once for each change of what is served, not for each request."""
        if not self._is_current(connection.pool.key):
            return False
        connection.generation = self._generation
        connection.pool = self.pool(connection.pool.key)
        return True

    def finish(self, connection: UpstreamConnection) -> None:
        """Close behind what is still to be sent: the end of a tunnel."""
        connection.deadline = time.monotonic() + self._timeouts.connect
        connection.close()

    async def turn(self, pool: IdlePool, *, fresh: bool) -> UpstreamConnection | None:
        """Wait until a request may have a connection, in order, within the connect timeout.

        Returns None if it may dial one, which it must do before others run; otherwise one whose request is just over,
        unless it is to be `fresh`.

        Raises:
            RefusedError: TooManyRequests, since none of its Connector's came free in time.
        """
        load, seconds = pool.load, self._timeouts.connect
        try:
            return await load.turn(None if fresh else pool, seconds, self._still_current)
        except TimeoutError:
            raise RefusedError(_none_free(pool.key.connector, load.most_connections, seconds)) from None

    async def dial(
        self, key: PoolKey, address: Address, tls: ClientTls, proxy: UpstreamProxy | None = None
    ) -> UpstreamConnection:
        """A new connection: the name is resolved once, each address is checked, and exactly those are tried (threat 9).

        `proxy`: the one on the way; then it is its name that is resolved here.

        Raises:
            RefusedError: UpstreamUnreachable, UpstreamTLS, UpstreamTimeout, TargetDenied or LoopDetected.
        """
        connection = UpstreamConnection(self.pool(key), self._lost, self._piece)
        load = connection.pool.load
        load.connections.add(connection)
        try:
            await self._dialling.connect(key, address, tls, connection, key.connector.namespace, proxy)
        except BaseException:  # a client that leaves, too
            load.gone(connection)
            raise
        self._all.add(connection)
        self._watchdog.watch(connection)
        return connection

    def note_change(self) -> None:
        """Another snapshot serves: which pools are current is asked again, of each connection when it is given back."""
        self._generation += 1

    def close_idle(self, pools: Collection[PoolKey]) -> None:
        """Close the idle connections of pools that no request can use any more: what they stand for has changed.

        Their TLS sessions go with them.
        """
        # A session is proof of a handshake under the CAs and the Secret of before.
        self._sessions.forget(pools)
        for key in pools:
            pool = self._pools.pop(key, None)
            while pool and pool.idle:
                pool.idle.pop().close()

    def keep_off(self, is_own: Callable[[str, int], bool]) -> Iterator[None]:
        """Close the connections to where the installation itself listens, as it turns out; one at each step.

        They were dialled before it was known: a pod's ports answer before the API server has told of it.
        """
        for connection in list(self._all):
            ip, port, _ = connection.peer()
            if ip and is_own(ip, port):
                connection.abort()
            yield

    def close(self) -> None:
        """Close everything: the process ends."""
        for connection in list(self._all):
            connection.abort()

    def _lost(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        self._watchdog.forget(connection)
        if connection in connection.pool.idle:
            connection.pool.idle.remove(connection)
        connection.pool.load.gone(connection)


def _none_free(connector: ConnectorKey, connections: int, seconds: float) -> Refusal:
    what = f"Connector {connector} has {connections} connections to its tool, as many as one may have"
    message = f"{what}, and none came free within {seconds:g} s; try again later"
    return Refusal(Reason.TOO_MANY_REQUESTS, message, Ceiling.UPSTREAM_CONNECTIONS)
