"""One client connection: bytes -> request heads, one exchange after the other, timeouts, orderly ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum
from typing import cast

from connectors.model.refusal import Refusal
from proxy.http1.buffers import RequestBuffer
from proxy.http1.errors import MessageError
from proxy.http1.head import ParsedRequest
from proxy.relay import Relay
from proxy.settings import Limits, Timeouts
from proxy.watchdog import NEVER, Watchdog

MAX_BUFFERED = 64 * 1024
"""Bytes held for later: pipelined requests, and a body before its upstream is there. Beyond that nothing is read."""
LINGER_IDLE = 5.0
LINGER_TOTAL = 30.0
"""Seconds for which a refused body is read and dropped, or a reset would lose the answer (nginx: lingering_close)."""

_PEER_HAS_LEFT = (7, 8)
"""TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's tcp_states.h: reset by the peer, and closed by it."""
_LINGER_NOT = struct.pack("ii", 1, 0)
"""struct linger of socket(7): on, for 0 seconds."""

logger = logging.getLogger(__name__)


class After(Enum):
    """What becomes of a client's connection behind a response."""

    KEEP = "keep"
    CLOSE = "close"
    LINGER = "linger"
    """Close, but read and drop what of the request is still on its way."""


@dataclass(frozen=True, slots=True)
class ClientTerms:
    """What every client connection is bound by, and whom it calls.

    `handle` runs one exchange; `refuse` answers a head that could not be parsed; `gone` hears of the end.
    """

    limits: Limits
    timeouts: Timeouts
    watchdog: Watchdog
    handle: Callable[[ParsedRequest, ClientConnection], Awaitable[After]]
    refuse: Callable[[Refusal, ClientConnection], None]
    gone: Callable[[ClientConnection], None]


class ClientConnection(asyncio.Protocol):
    """Keep-alive and pipelining: requests are served in order, the next one is read ahead but not begun."""

    def __init__(self, terms: ClientTerms) -> None:
        self._terms = terms
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._buffer = RequestBuffer(terms.limits)
        self._head: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._relay: Relay | None = None
        self._held_back = False
        self._paused = False
        self._in_head = False
        self._lingering_until = 0.0
        self.draining = False
        self.cut_off = False
        self.deadline = NEVER

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve."""
        self._transport = cast("asyncio.Transport", transport)
        self.deadline = time.monotonic() + self._terms.timeouts.head
        self._terms.watchdog.watch(self)
        self._task = self.loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        """To the relay while it takes it, else kept for the next head."""
        if self._lingering_until:
            self.deadline = min(time.monotonic() + LINGER_IDLE, self._lingering_until)
            return
        if self._relay is not None:
            data = self._relay.from_client(data)
            if not data:
                return
        self._buffer.add(data)
        if self._head is not None:
            self._head_begins()
            if not self._head.done():
                self._head.set_result(None)
        self._update_reading()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self._writable = self.loop.create_future()
        if self._relay:
            self._relay.client_writable(False)

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None
        if self._relay:
            self._relay.client_writable(True)

    def eof_received(self) -> None:
        """The client sends nothing more, and so is gone: what is cut short by that must not look complete.

        A tunnel has no end that could be mistaken: what is still to be sent there is sent.
        """
        if self._relay is not None and not self._relay.progress.tunnelled:
            self._reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._transport = None
        self._terms.watchdog.forget(self)
        self._terms.gone(self)
        if self._task:
            # Wherever the exchange waits, it ends now, and closes its upstream on the way out (threat 15).
            self._task.cancel()

    @property
    def peer(self) -> str:
        """The IP address that the connection came from; empty once it is gone."""
        address = self._transport.get_extra_info("peername") if self._transport else None
        return str(address[0]) if address else ""

    @property
    def left(self) -> bool:
        """Whether it is gone, and not by our doing."""
        return self._transport is None and not self.cut_off

    # -- the relay's side (ClientSideConnection)

    def attach(self, relay: Relay) -> None:
        """From now on `relay` gets the body, what is buffered first."""
        self._relay = relay
        if self._buffer:
            self.put_back(relay.from_client(self._buffer.take_all()))
        if self._writable:
            relay.client_writable(False)
        self._update_reading()

    def detach(self) -> None:
        """The relay is over."""
        self._relay = None
        self._held_back = False
        self._update_reading()
        self.deadline = NEVER

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent at once is buffered, and pause_writing says when that is too much."""
        if self._transport:
            self._transport.write(data)

    def pause_reading(self, paused: bool) -> None:
        """Back-pressure from the tool."""
        self._held_back = paused
        self._update_reading()

    def take_buffered(self) -> bytes:
        """What was read ahead."""
        buffered = self._buffer.take_all()
        self._update_reading()
        return buffered

    def put_back(self, rest: bytes) -> None:
        """What a relay was given and is the next request's."""
        if rest:
            self._buffer.add(rest)

    def abort(self) -> None:
        """Reset the connection: what was sent must not look complete.

        A transport's own abort() sends FIN, which to a close-delimited body is its proper end; SO_LINGER 0 sends RST.
        """
        self.cut_off = True
        self._reset()

    def _reset(self) -> None:
        if self._transport:
            if connection := self._transport.get_extra_info("socket"):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            self._transport.abort()

    # -- the server's side

    def drain(self) -> None:
        """The process ends: close now if idle, else after the running exchange."""
        self.draining = True
        if self._head is not None and not self._buffer and self._transport:
            self._transport.close()

    def look_for_peer(self) -> None:
        """Notice a client that has left while nothing is read from it: the kernel knows, but tells only who reads."""
        if not self._paused or self._transport is None:
            return
        connection = self._transport.get_extra_info("socket")
        if connection and connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _PEER_HAS_LEFT:
            self._transport.abort()

    def expired(self) -> None:
        """A deadline of this connection has passed."""
        if self._relay is not None:
            self._relay.expired()
        elif self._transport:
            # Not close(): it would go on waiting for a peer that takes nothing of what is still to be sent.
            self._transport.abort()

    async def _serve(self) -> None:
        """Every request of this connection, in order. Ends with the connection; the only root of its exceptions."""
        after = After.KEEP
        try:
            while after is After.KEEP and (request := await self._next_request()) is not None:
                self.deadline = NEVER
                after = await self._terms.handle(request, self)
        except MessageError as error:
            self._terms.refuse(Refusal(error.reason, error.message), self)
            after = After.LINGER
        except Exception:
            # The root of this task: without this a defect would leave the connection hanging.
            logger.exception("a client connection ended on an unexpected error; please report it")
            self.abort()
        if after is After.LINGER:
            self._linger()
        else:
            self._close()

    async def _next_request(self) -> ParsedRequest | None:
        while True:
            if self._writable:
                self.deadline = time.monotonic() + self._terms.timeouts.idle
                await self._writable
                self.deadline = NEVER
            request = self._buffer.next_request() if self._buffer else None
            if request:
                self._in_head = False
                if self._buffer:
                    # Pipelined: the others get their turn before the next one.
                    await asyncio.sleep(0)
            if request or self._transport is None or (self.draining and not self._buffer):
                return request
            await self._more()

    async def _more(self) -> None:
        """Wait for more of a head."""
        if self._buffer:
            self._head_begins()
        elif self.deadline is NEVER:
            self.deadline = time.monotonic() + self._terms.timeouts.keep_alive
        self._head = self.loop.create_future()
        self._update_reading()
        try:
            await self._head
        finally:
            self._head = None
            self._update_reading()

    def _head_begins(self) -> None:
        """A head's time runs from its first byte, or that of an empty line before it, and nothing stretches it."""
        if not self._in_head:
            self._in_head = True
            self.deadline = time.monotonic() + self._terms.timeouts.head

    def _update_reading(self) -> None:
        """The one place that decides whether to read: not while the tool takes nothing, nor ever more ahead."""
        awaited = self._head is not None or self._lingering_until
        paused = self._held_back or (len(self._buffer) > MAX_BUFFERED and not awaited)
        if paused == self._paused or self._transport is None or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _linger(self) -> None:
        """Close, but let the peer read first: what it still sends is dropped for a while (RFC 9112 section 9.6)."""
        if self._transport is None or self._transport.is_closing():
            return
        now = time.monotonic()
        self._lingering_until = now + LINGER_TOTAL
        unsent = self._transport.get_write_buffer_size() > 0
        self.deadline = now + (self._terms.timeouts.idle if unsent else LINGER_IDLE)
        self._buffer.take_all()
        if self._transport.can_write_eof():
            self._transport.write_eof()
            self._update_reading()
        else:
            self._close()

    def _close(self) -> None:
        """Close behind what is still to be sent, for which the peer gets as long as for any other byte."""
        if self._transport:
            self.deadline = time.monotonic() + self._terms.timeouts.idle
            self._transport.close()
