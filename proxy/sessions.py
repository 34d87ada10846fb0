"""TLS sessions toward tools (RFC 8446 section 2.2, RFC 5077): a handshake that was verified need not be made again.

A resumed handshake shows no certificate, so nothing is verified in it: what was verified in the full one counts on. A
session is offered only within the pool of connections that it was made in (the same Connector, Secret, origin and CAs),
with the context that verified the tool, and for an hour at most. It dies with its pool.
"""

from __future__ import annotations

import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

MAX_AGE = 3600.0
"""Seconds behind a full handshake in which its outcome counts, however often the tool renews the session: a certificate
that was revoked or has expired is noticed by then."""
MAX_POOLS = 1024
"""Pools that something is known of, the last used ones; a session takes 7 KiB, the tool's certificate in it."""
WORTH = 4
"""Handshakes that a session must save: to read one out of OpenSSL costs as much as one of them saves."""
MAX_STRIKES = 2
"""Sessions of a tool that were not worth it, after which it is left alone for MAX_AGE."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(slots=True)
class _Known:
    """What is known of one pool until a time: a session and its context, or that the tool's are not worth it."""

    until: float
    session: ssl.SSLSession | None = None
    context: ssl.SSLContext | None = None
    saved: int = 0
    strikes: int = 0


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
        """What a tool has done with a session that was offered. One that it did not take is not offered again."""
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
