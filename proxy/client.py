"""One client connection: bytes -> request heads, one exchange after the other, timeouts, orderly ends."""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from connectors.http.message import MessageError
from connectors.http.plain import plain_head
from proxy.buffers import LEAST_PIECE, PIECE, UNSENT, ZEROS, InPieces, RequestBuffer
from proxy.relay import Relay
from proxy.sockets import peer_has_left, reset_when_closed
from proxy.watchdog import NEVER

if TYPE_CHECKING:
    from proxy.server import ClientTerms  # which makes these connections

MAX_BUFFERED = PIECE  # bytes held for later, pipelined or a body without its upstream: with more, nothing is read
LINGER_IDLE = 5.0  # seconds without a byte of that body, then it is closed (nginx: lingering_timeout)
LINGER_TOTAL = 30.0  # seconds for which a refused body is dropped: a reset would lose the answer (lingering_close)
TAKEN_WITHIN = 5.0  # seconds that a client has to take an answer: to give its place away sooner would cut that short
DEFECT = "a client connection ended on an unexpected error; please report it"
logger = logging.getLogger(__name__)


class After(Enum):
    """What becomes of a client's connection behind a response."""

    KEEP = "keep"
    CLOSE = "close"
    # Close, but read and drop what of the request is still on its way.
    LINGER = "linger"


class State(Enum):
    """Where a connection stands."""

    READY = auto()  # the next bytes begin a request, and nothing stands in its way
    HEAD = auto()  # a head has begun, and is not whole yet
    FULL = auto()  # between two requests; none is begun until the client takes what it was sent
    BUSY = auto()  # a request is being judged, or waits for others, who have times of their own
    RELAYED = auto()  # a request is on its way: its relay gets what comes, and moves the deadline
    NEXT = auto()  # the next request came together with the one before, and begins in a later turn
    LINGERING = auto()  # what still comes is dropped, so that the peer can read the answer
    CLOSED = auto()  # it is gone, or will be behind what is still to be sent


# The members by names of their own: to look one up in its class costs as much as two calls, until Python 3.12.
_KEEP = After.KEEP
_READY, _HEAD, _FULL, _BUSY, _RELAYED, _NEXT, _LINGERING, _CLOSED = State
_AWAITED = frozenset({_READY, _HEAD, _LINGERING})  # more is read, however much has come: it is not for later


class ClientConnection(InPieces):
    """Keep-alive and pipelining: requests are served in order, the next one is read ahead but not begun.

    `_relay` is the running exchange's, once its upstream is there; `_waiting` what the exchange waits for before.
    `_writable`, `_held_back` and `_paused` are back-pressure, which any state can meet: whether the client takes what
    it is sent, whether the tool takes nothing, and whether nothing is read for that. `transport` is None once it is
    gone.
    """

    __slots__ = (
        "_began", "_buffer", "_held_back", "_lingers_until", "_paused", "_piece", "_relay", "_state", "_terms",
        "_waiting", "_writable", "cut_off", "deadline", "draining", "loop", "transport",
    )  # fmt: skip

    def __init__(self, terms: ClientTerms) -> None:
        self._terms = terms
        self._piece = terms.piece.whole
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._buffer: RequestBuffer | None = None
        self._relay: Relay | None = None
        self._state = _CLOSED
        self._writable = True
        self._held_back = False
        self._paused = False
        self._lingers_until = 0.0
        self._began = 0.0
        self.draining = False
        self.cut_off = False
        self.deadline = NEVER

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve, if there is a place."""
        self.transport = cast("asyncio.Transport", transport)
        # Little is added to what the client has not taken: one more answer at most.
        self.transport.set_write_buffer_limits(UNSENT)
        self._began = time.monotonic()
        if not self._terms.came(self):
            self.transport.abort()
            return
        self._terms.watchdog.watch(self)
        # If draining began before it was accepted, it serves nothing: a request is parsed, and refused.
        self._enter(_HEAD if self.draining else _READY, self._terms.timeouts.head)

    def get_buffer(self, sizehint: int) -> memoryview:
        """For one read: PIECE at most, and what may still be held: of a head, what shows that it is too long."""
        if self._buffer is None:
            return self._piece
        most = self._terms.limits.head_bytes + LEAST_PIECE if self._state in _AWAITED else MAX_BUFFERED
        return self._terms.piece.part(most - len(self._buffer))

    def buffer_updated(self, nbytes: int) -> None:
        """So much has come."""
        came = self._piece[:nbytes]
        data, came[:] = came.tobytes(), ZEROS[:nbytes]
        self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """To the relay while it takes it, else kept for the next head."""
        state = self._state
        if state is _READY:
            try:
                if self._terms.requests.begin(data, self):
                    return
            except Exception:
                logger.exception(DEFECT)
                self.abort()  # without this a defect would leave the connection hanging
                return
        elif state is _LINGERING:
            self.deadline = min(time.monotonic() + LINGER_IDLE, self._lingers_until)
            return
        elif state is _RELAYED and self._relay is not None:
            data = self._relay.from_client(data)
        if not data or state is _CLOSED:
            return
        self._keep(data)
        if self._state is _HEAD or self._state is _FULL:
            self._advance(data if state is _READY else b"")
        self._update_reading()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is written to."""
        self._writable = False
        state = self._state
        if state is _RELAYED and self._relay is not None:
            self._relay.client_writable(False)
        elif state is _READY or state is _HEAD:
            self._enter(_FULL, self._terms.timeouts.idle)
        elif state is _LINGERING:
            self.deadline = time.monotonic() + self._terms.timeouts.idle

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._writable = True
        if self._state is _RELAYED and self._relay is not None:
            self._relay.client_writable(True)
        elif self._state is _FULL:
            self._between()
        elif self._state is _LINGERING:
            self._close() if self.draining else self._enter(_LINGERING, LINGER_IDLE)

    def eof_received(self) -> None:
        """The client sends nothing more, and so is gone: what is cut short by that must not look complete.

        A tunnel has no end that could be mistaken: what is still to be sent there is sent.
        """
        self._terms.outbox.flush()  # the transport closes behind this
        if self._relay is not None and not self._relay.tunnelled:
            self._reset()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: the exchange ends now, in any state, its upstream with it (threat 15)."""
        self.transport = None
        self._state = _CLOSED
        self._terms.watchdog.forget(self)
        self._terms.gone(self)
        if self._relay:
            self._relay.client_lost()
        elif self._waiting:
            self._waiting.cancel()

    @property
    def peer(self) -> str:
        """The IP address that the connection came from; empty once it is gone."""
        address = self.transport.get_extra_info("peername") if self.transport else None
        return str(address[0]) if address else ""

    @property
    def left(self) -> bool:
        """Whether it is gone, and not by our doing."""
        return self.transport is None and not self.cut_off

    # -- the exchange's side

    def wait_for(self, waiting: asyncio.Task[None]) -> None:
        """The exchange waits for others, who have times of their own: `waiting` is cancelled when the client leaves."""
        self._relay, self._waiting = None, waiting
        if self.transport is not None:
            self._state, self.deadline = _BUSY, NEVER

    def attach(self, relay: Relay) -> None:
        """From now on `relay` gets the body, what is buffered first."""
        self._state, self._relay, self._waiting = _RELAYED, relay, None
        if self._buffer is not None:
            self.put_back(relay.from_client(self.take_buffered()))
            self._update_reading()
        if not self._writable:
            relay.client_writable(False)

    def over(self, after: After, now: float) -> None:
        """The exchange has ended, at the monotonic time `now`. Called once for each request."""
        self._relay = self._waiting = None
        self._held_back = False
        if after is not _KEEP:
            self._linger() if after is After.LINGER else self._close()
        elif self._buffer is not None:
            # Pipelined: the others get their turn before the next one.
            self._state = _NEXT
            self.loop.call_soon(self._next)
        elif self._writable and not self.draining and self.transport is not None:
            self._state, self.deadline = _READY, now + self._terms.timeouts.keep_alive  # as `_enter`, at a known time
        else:
            self._between()
        if self._paused or self._buffer is not None:
            self._update_reading()

    def write(self, data: bytes) -> None:
        """Send; what cannot be sent at once is buffered, and pause_writing says when that is too much."""
        self._terms.outbox.flush()
        if self.transport:
            self.transport.write(data)

    def pause_reading(self, paused: bool) -> None:
        """Back-pressure from the tool."""
        self._held_back = paused
        self._update_reading()

    def take_buffered(self) -> bytes:
        """What was read ahead, and is kept no longer: a connection that holds nothing has no buffer."""
        taken, self._buffer = self._buffer.take_all() if self._buffer is not None else b"", None
        self._update_reading()
        return taken

    def put_back(self, rest: bytes) -> None:
        """Keep what a relay was given but belongs to the next request."""
        if rest:
            self._keep(rest)

    def abort(self) -> None:
        """Reset the connection: what was sent must not look complete."""
        self.cut_off = True
        self._reset()

    def _reset(self) -> None:
        self._let_go()
        if self.transport:
            reset_when_closed(self.transport)
            self.transport.abort()

    def _let_go(self) -> None:
        if self._relay is not None:
            self._relay.let_go()  # no other descriptor of this connection may be open when it is closed

    # -- the server's side

    def drain(self) -> None:
        """The process ends: close now if idle, else after the running exchange."""
        self._terms.outbox.flush()
        self.draining = True
        # Of a head that has begun, the rest may come: its request is refused, and so is told why.
        if self._state is _READY or (self._state is _LINGERING and self._writable):
            self._close()

    @property
    def waits_since(self) -> float:
        """Since when (time.monotonic()) it waits for its client alone; NEVER while a request or its answer runs."""
        state, times, transport = self._state, self._terms.timeouts, self.transport
        unsent = transport is not None and transport.get_write_buffer_size() > 0
        lasts = {_READY: times.keep_alive, _HEAD: times.head, _FULL: times.idle, _LINGERING: LINGER_TOTAL}
        last = lasts.get(state, times.idle if unsent and state is _CLOSED else NEVER)
        if last is NEVER:
            return NEVER
        # One that has not sent anything yet has the deadline of a head, before which it cannot have waited.
        since = max(self._began, (self._lingers_until if state is _LINGERING else self.deadline) - last)
        return NEVER if unsent and time.monotonic() - since < TAKEN_WITHIN else since

    def make_room(self) -> None:
        """Close at once, since others need the place: no request runs, and its client had time to take its answer."""
        taken = self.transport is not None and not self.transport.get_write_buffer_size()
        # What the client has not taken would keep the descriptor.
        self._close() if taken and self._state is _READY else self.abort()

    def look_for_peer(self) -> None:
        """Notice a client that has left while nothing is read from it."""
        if self._paused and self.transport is not None and peer_has_left(self.transport):
            self._let_go()
            self.transport.abort()

    @property
    def held(self) -> int:
        """Bytes of requests that it holds; what its client has not taken comes on top."""
        ahead = len(self._buffer) if self._buffer is not None else 0
        return ahead if self._relay is None else ahead + self._relay.held

    def expired(self) -> None:
        """A deadline of this connection has passed."""
        if self._relay is not None:
            self._relay.expired()
        elif self.transport:
            # Not close(): it would go on waiting for a peer that takes nothing of what is still to be sent.
            self.transport.abort()

    # -- between two requests

    def _keep(self, data: bytes) -> None:
        """For later: the next head, or a body before its upstream is there."""
        if self._state is _READY:
            # What is kept comes first: nothing may begin before it.
            self._enter(_HEAD, self._terms.timeouts.head)
        if self._buffer is None:
            self._buffer = RequestBuffer(self._terms.limits)
        self._buffer.add(data)

    def _enter(self, state: State, seconds: float) -> None:
        """Enter a state, for at most so many seconds."""
        self._state, self.deadline = state, time.monotonic() + seconds

    def _next(self) -> None:
        """In a turn of its own: the next request of those that came together."""
        if self._state is _NEXT:
            self._advance()
            self._update_reading()

    def _between(self) -> None:
        """Go on when an exchange has ended, or when the client takes bytes again."""
        if not self._writable:
            self._enter(_FULL, self._terms.timeouts.idle)
        elif self._buffer is not None:
            self._advance()
        elif self.draining or self.transport is None:
            self._close()
        else:
            self._enter(_READY, self._terms.timeouts.keep_alive)

    def _advance(self, whole: bytes = b"") -> None:
        """Begin the next request, if its head is complete. `whole`: it is all that has come, in one piece."""
        if self._buffer is None or self.transport is None:
            return
        if not self._writable:
            self._enter(_FULL, self._terms.timeouts.idle)
            return
        try:
            request = self._buffer.next_request()
            self._buffer = self._buffer or None
            if request is not None:
                self._state, self.deadline = _BUSY, NEVER
                self._terms.requests.handle(request, self, plain_head(whole))
            elif self._state is not _HEAD:
                # A head's time runs from its first byte, or that of an empty line before it; nothing stretches it.
                self._enter(_HEAD, self._terms.timeouts.head)
        except MessageError as error:
            self._terms.refuse(error.refusal, self)
            self._linger()
        except Exception:
            logger.exception(DEFECT)
            self.abort()

    def _update_reading(self) -> None:
        """The one place that decides whether to read: not while the tool takes nothing, nor ever more ahead."""
        ahead = self._buffer is not None and len(self._buffer) > MAX_BUFFERED
        paused = self._held_back or (ahead and self._state not in _AWAITED)
        if paused == self._paused or self.transport is None or self.transport.is_closing():
            return
        self._paused = paused
        if paused:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _linger(self) -> None:
        """Close, but let the peer read first: what it still sends is dropped for a while (RFC 9112 section 9.6)."""
        self._terms.outbox.flush()
        if self.transport is None or self.transport.is_closing():
            # An exchange that waited has no deadline, and the peer may never take what is still to be sent.
            self._enter(_CLOSED, self._terms.timeouts.idle)
            return
        self._lingers_until = time.monotonic() + LINGER_TOTAL
        self._enter(_LINGERING, self._terms.timeouts.idle if self.transport.get_write_buffer_size() else LINGER_IDLE)
        self._buffer = None
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._update_reading()
        else:
            self._close()

    def _close(self) -> None:
        """Close behind what is still to be sent, for which the peer gets as long as for any other byte."""
        self._terms.outbox.flush()
        self._enter(_CLOSED, self._terms.timeouts.idle)
        if self.transport:
            self.transport.close()
