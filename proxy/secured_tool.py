"""TLS toward a tool, as it is on top of proxy/secured.py: the handshake is waited for, and may resume a session."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from proxy.buffers import InPieces
from proxy.secured import Secured

# Seconds behind a full handshake in which its outcome counts, however often the tool renews the session: a certificate
# that was revoked or has expired is noticed by then.
MAX_AGE = 3600.0
# Pools that something is known of, the last used ones; a session takes 7 KiB, the tool's certificate in it.
MAX_POOLS = 1024
# Handshakes that a session must save: to read one out of OpenSSL costs as much as one of them saves.
WORTH = 4
# Sessions of a tool that were not worth it, after which it is left alone for MAX_AGE.
MAX_STRIKES = 2

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Known:
    """What is known of one pool until a time: a session and its context, or that the tool's are not worth it."""

    until: float
    session: ssl.SSLSession | None = None
    context: ssl.SSLContext | None = None
    saved: int = 0
    strikes: int = 0


# TLS sessions toward tools (RFC 8446 section 2.2, RFC 5077): a handshake that was verified need not be made again.
#
# A resumed handshake shows no certificate, so nothing is verified in it: what was verified in the full one counts
# on. A session is offered only within the pool of connections that it was made in (the same Connector, Secret,
# origin and CAs), with the context that verified the tool, and for an hour at most. It dies with its pool.
class Sessions(Generic[Key]):
    """One session for each pool, offered in all of its handshakes."""

    def __init__(
        self,
        is_current: Callable[[Key], bool],
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`is_current` knows whether a request could still use a pool. `wall`: Unix time, for certificates' ends."""
        self._is_current = is_current
        self.now = monotonic
        self._wall = wall
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._next_look = 0.0

    @property
    def pools(self) -> int:
        """How many pools something is known of."""
        return len(self._known)

    def offered(self, pool: Key, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """The session to offer in a handshake that begins now, if there is one."""
        known = self._current(pool)
        # Of another context, another CA of the same name has verified the tool (ClientTls.choice).
        if known is None or known.context is not context:
            return None
        self._known.move_to_end(pool)
        return known.session

    def answered(self, pool: Key, session: ssl.SSLSession, resumed: bool) -> None:
        """Note whether a tool took the session that was offered. One that it did not take is not offered again."""
        known = self._known.get(pool)
        if known is None or known.session is not session:
            return  # another connection has heard of it before
        if resumed:
            known.saved += 1
        else:
            self._strike(pool, 0 if known.saved >= WORTH else known.strikes + 1)

    def wanted(self, pool: Key, context: ssl.SSLContext) -> bool:
        """Whether the session of a full handshake should be learnt, which costs something."""
        known = self._current(pool)
        if known is None:
            return True
        return known.strikes < MAX_STRIKES if known.session is None else known.context is not context

    def learn(self, pool: Key, context: ssl.SSLContext, tls: ssl.SSLObject, verified: float) -> None:
        """Keep the session of a connection whose tool was verified at `verified`, as `now` told the time.

        With TLS 1.3 it arrives behind the handshake, and in practice before the first answer.
        """
        if not self._is_current(pool):
            return
        known = self._current(pool) or _Known(0.0)
        session = tls.session
        if session is None or not _can_resume(session, tls):
            self._strike(pool, known.strikes + 1)
            return
        until = verified + min(MAX_AGE, session.ticket_lifetime_hint or MAX_AGE, self._left(tls))
        self._keep(pool, _Known(until, session, context, strikes=known.strikes))

    def forget(self, pools: Iterable[Key]) -> None:
        """Let go of what is known of these pools: no request can use them any more, what they stand for has changed."""
        for pool in pools:
            self._known.pop(pool, None)

    def forget_old(self) -> None:
        """Let go of what is too old, once a minute: called as often as one likes."""
        now = self.now()
        if now >= self._next_look:
            self._next_look = now + 60.0
            for pool in [pool for pool, known in self._known.items() if now >= known.until]:
                del self._known[pool]

    def _current(self, pool: Key) -> _Known | None:
        known = self._known.get(pool)
        if known is not None and self.now() >= known.until:
            del self._known[pool]
            return None
        return known

    def _strike(self, pool: Key, strikes: int) -> None:
        self._keep(pool, _Known(self.now() + MAX_AGE, strikes=strikes))

    def _keep(self, pool: Key, known: _Known) -> None:
        self._known[pool] = known
        self._known.move_to_end(pool)
        if len(self._known) > MAX_POOLS:
            self._known.popitem(last=False)

    def _left(self, tls: ssl.SSLObject) -> float:
        """Seconds until the tool's certificate ends: a full handshake would not take it then."""
        certificate = tls.getpeercert() or {}
        return ssl.cert_time_to_seconds(str(certificate["notAfter"])) - self._wall()


def _can_resume(session: ssl.SSLSession, tls: ssl.SSLObject) -> bool:
    """Whether there is a ticket, or with TLS 1.2 an id by which the tool would know it."""
    return session.has_ticket or (tls.version() != "TLSv1.3" and bool(session.id))


class SecuredTool(Secured, Generic[Key]):
    """A TCP connection's protocol, and the transport of `protocol`, which hears of it once the tool is verified."""

    def __init__(
        self,
        context: ssl.SSLContext,
        server_name: str,
        protocol: InPieces,
        sessions: Sessions[Key],
        pool: Key,
    ) -> None:
        """`context` verifies that the tool is `server_name`; `pool` is the one that the connection belongs to."""
        self._offered = sessions.offered(pool, context)
        super().__init__(context, protocol, server_name, self._offered)
        self._context = context
        self._sessions = sessions
        self._pool = pool
        self._verified = 0.0
        self._error: Exception | None = None
        self._open: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        """Shake hands. If it is cancelled, the connection is dropped.

        Raises:
            OSError: ssl.SSLCertVerificationError where the tool is not who it should be, another ssl.SSLError where it
                is not a TLS that both ends speak, ConnectionResetError where the tool has closed.
        """
        self._advance()
        try:
            await self._open
        except asyncio.CancelledError:
            self.abort()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """This end speaks first, and not before it is asked to."""
        self._tcp = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone, before the handshake's end or behind it."""
        self._tcp = None
        self._deliver = _drop  # no cycle is left for the garbage collector
        if self._shaken:
            self._client.connection_lost(exc or self._error)
        else:
            self._end(exc or ConnectionResetError())

    def _shook(self) -> None:
        if self._offered is not None:
            self._sessions.answered(self._pool, self._offered, resumed=bool(self._tls.session_reused))
        if not self._tls.session_reused and self._sessions.wanted(self._pool, self._context):
            self._verified = self._sessions.now()
            self._deliver = self._first
        self._client.connection_made(self)
        if not self._open.done():
            self._open.set_result(None)
        # Behind the request that waits: it goes with the handshake's last word, in one packet.
        self._open.get_loop().call_soon(self._flush)

    def _first(self, data: bytes) -> None:
        """What arrives first: the session is there by now."""
        self._deliver = self._client.data_received
        self._sessions.learn(self._pool, self._context, self._tls, self._verified)
        self._deliver(data)

    def _failed(self, error: ssl.SSLError) -> None:
        """To the task that waits for the handshake, or as the reason why the connection is gone."""
        self._error = error
        self._flush()  # the alert that says why
        self._ended = True
        if self._shaken or self._tcp is None:
            self.abort()
        else:
            self._tcp.close()
            self._end(error)

    def _end(self, error: Exception) -> None:
        """Fail: no connection comes about. Tell the task that waits, if it still does."""
        if self._open.done():
            return
        if self._offered is not None:
            # Whatever the cause, the next handshake must be a full one.
            self._sessions.answered(self._pool, self._offered, resumed=False)
        self._open.set_exception(error)
        self._open.exception()


def _drop(_: bytes) -> None:
    """Nothing is delivered any more."""
