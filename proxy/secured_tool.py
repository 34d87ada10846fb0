"""TLS toward a tool, as it is on top of proxy/secured.py: the handshake is waited for, and may resume a session."""

from __future__ import annotations

import asyncio
import ssl
from typing import Generic, cast

from proxy.secured import Secured
from proxy.sessions import Key, Sessions


class SecuredTool(Secured, Generic[Key]):
    """A TCP connection's protocol, and the transport of `protocol`, which hears of it once the tool is verified."""

    def __init__(
        self,
        context: ssl.SSLContext,
        server_name: str,
        protocol: asyncio.Protocol,
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
        """Shake hands; where it is cancelled, there is no connection.

        Raises:
            OSError: ssl.SSLCertVerificationError where the tool is not who it should be, another ssl.SSLError where it
                is no TLS that both ends speak, ConnectionResetError where the tool has closed.
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
        # Behind whoever waits: its request goes with the handshake's last word, in one packet.
        self._open.get_loop().call_soon(self._flush)

    def _first(self, data: bytes) -> None:
        """What arrives first: the session is there by now."""
        self._deliver = self._client.data_received
        self._sessions.learn(self._pool, self._context, self._tls, self._verified)
        self._deliver(data)

    def _failed(self, error: ssl.SSLError) -> None:
        """To whoever waits for the handshake, or as the reason why the connection is gone."""
        self._error = error
        self._flush()  # the alert that says why
        self._ended = True
        if self._shaken or self._tcp is None:
            self.abort()
        else:
            self._tcp.close()
            self._end(error)

    def _end(self, error: Exception) -> None:
        """There will be no connection. Who waits for one hears of it, if there still is anybody."""
        if self._open.done():
            return
        if self._offered is not None:
            # Whatever it was about: the next handshake is a full one.
            self._sessions.answered(self._pool, self._offered, resumed=False)
        self._open.set_exception(error)
        self._open.exception()


def _drop(_: bytes) -> None:
    """Nothing is delivered any more."""
