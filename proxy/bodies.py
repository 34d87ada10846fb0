"""Both bodies of one exchange in motion, with back-pressure. proxy/relay.py adds heads and ends."""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

from connectors.http.body import BodyReader, EmptyBody
from connectors.http.message import MessageError
from proxy.audit.audit import Record
from proxy.course import Course, Reports
from proxy.holding import COST_RELAYED, COST_SEALED
from proxy.splice import SpliceEnd
from proxy.upstream import UpstreamConnection

if TYPE_CHECKING:
    from proxy.buffers import ResponseBuffer
    from proxy.client import ClientConnection  # they import the relay, which is a Bodies
    from proxy.relay import Terms

# For a peer to take what is left for it: a peer that reads takes milliseconds, and one that does not is not waited for.
SECONDS: Final = 1.0
# Of tcp(7): with 1, a socket is writable when nothing is unsent in it. Python knows it on Linux.
_SENT_ALL = getattr(socket, "TCP_NOTSENT_LOWAT", None)


class LastBytes:
    """Sees to it that everything written is sent before a reset, which makes the kernel drop what it has not sent.

    Calls `then` once the transport's bytes are sent, or cannot be; or when the time for that is over.
    """

    def __init__(self, transport: asyncio.Transport | None, then: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._then = then
        self._duplicate: socket.socket | None = None
        self._timer = self._loop.call_later(SECONDS, self._end)

    def go_on(self) -> None:
        """Look at what is left. Call it again when the transport has sent what it holds."""
        transport = self._transport
        connection = transport.get_extra_info("socket") if transport and not transport.is_closing() else None
        if transport is None or connection is None or _SENT_ALL is None:
            self._end()
        elif transport.get_write_buffer_size():
            transport.set_write_buffer_limits(0)
        elif self._duplicate is None:
            # A duplicate: the loop does not let others watch a descriptor that a transport owns.
            self._duplicate = connection.dup()
            self._duplicate.setsockopt(socket.IPPROTO_TCP, _SENT_ALL, 1)
            self._loop.add_writer(self._duplicate.fileno(), self._end)

    def close(self) -> None:
        """Stop waiting, and close the duplicate: while one is open, the kernel sends no reset."""
        self._timer.cancel()
        if self._duplicate is not None:
            self._loop.remove_writer(self._duplicate.fileno())
            self._duplicate.close()
            self._duplicate = None
        self._transport = None

    def _end(self) -> None:
        self.close()
        self._then()


_NO_BODY: Final = EmptyBody()


class Phase(Enum):
    """How far a response has come."""

    HEAD = "head"
    BODY = "body"
    TUNNEL = "tunnel"
    OVER = "over"


# The members by names of their own: to look one up in its class costs as much as two calls, until Python 3.12.
_HEAD, _BODY, _TUNNEL, _OVER = Phase


class Bodies(ABC):
    """Moves the bodies of one request and its response.

    `upstream_reusable`: the tool's connection may serve another request. `held_upstream`: reading from the tool was
    held back. What is set in the class is what most requests never change.
    """

    record: Record
    client: ClientConnection
    upstream: UpstreamConnection
    upstream_reusable = False
    held_upstream = False
    _terms: Terms
    _phase: Phase = Phase.HEAD
    _request_body: BodyReader = _NO_BODY
    _response_body: BodyReader = _NO_BODY
    _persistent = False
    _awaits_continue = False
    _client_full = False
    # What has come before the final response's head was whole.
    _response_head: ResponseBuffer | None = None
    # Interim responses have come that wait for a later turn, or for the client.
    _heads_wait = False
    _tool_full = False
    _tool_fault: Exception | None = None
    # Bodies that do not come in one read. Each refers back to this relay, which lets go of it at its end.
    _up: Course | None = None
    _down: Course | None = None
    _last: LastBytes | None = None

    # -- from the client

    def from_client(self, data: bytes) -> bytes:
        """Take what the client sent; gives back what belongs to its next request."""
        if self._phase is _TUNNEL:
            self._to_tool(data)
            return b""
        if self._request_body.done or self._phase is _OVER:
            return data  # pipelined: it belongs to the next request
        try:
            passed, rest = self._request_body.feed(data)
        except MessageError as error:
            self._client_broke(error)
            return b""
        # It sends without having waited for a 100, as RFC 9110 section 10.1.1 allows: it can be too slow from now on.
        self._awaits_continue = False
        self._to_tool(passed)
        if self._request_body.done:
            if self._up is not None:
                self._up.close()
            return rest
        if self._up is None:
            self._up = self._course_up()
        self._up.goes_on(rest, len(data))
        return b""

    def _to_tool(self, data: bytes) -> None:
        self.upstream.write(data)
        self._moved_up(len(data))

    def _course_up(self) -> Course:
        again, changed = self._from_client_again, self._update_client_reading
        reports = Reports(again, changed, self._moved_up, self._up_over, self._up_through, self._client_broke)
        return Course(self._terms.bounds.means, self._request_body, self.client, self.upstream, reports)

    def _from_client_again(self, data: bytes) -> None:
        self.client.put_back(self.from_client(data))

    def _moved_up(self, count: int) -> None:
        self.record.bytes_in += count
        self._touch()

    def _up_over(self, outcome: SpliceEnd) -> None:
        if outcome is SpliceEnd.SOURCE_LOST:
            self.client.eof_received()
        elif outcome is SpliceEnd.SINK_LOST:
            # What the tool has sent before can still be read. The kernel tells of a reset once, and
            # has told the splice: when all is read, the connection will seem to end in order.
            self._tool_fault = ConnectionResetError("the tool has closed the connection within a request's body")
        self._update_client_reading()

    def _up_through(self, rest: bytes) -> None:
        if self._up is not None:
            self._up.close()
        self.client.put_back(rest)
        self._update_client_reading()

    def client_writable(self, writable: bool) -> None:
        """Back-pressure: read from the tool only what the client takes."""
        self._client_full = not writable
        if writable and self._down is not None:
            self._down.sink_is_free()
        if writable and self._last is not None:
            self._last.go_on()
        self._update_upstream_reading()
        self._touch()
        if writable and self._heads_wait:
            self._next_heads()

    def _update_upstream_reading(self) -> None:
        if self._phase is not _OVER:
            # Remembered for the end of the exchange: a connection must not go back to its pool while reading is paused.
            self.held_upstream = True
            held = self._client_full or self._heads_wait or (self._down is not None and self._down.holds)
            self.upstream.pause_reading(held)

    @property
    def held(self) -> int:
        """Bytes that the tool has not taken, those of its unfinished head, and what a tool's connection costs."""
        held = COST_RELAYED + (len(self._response_head) if self._response_head is not None else 0)
        transport = self.upstream.transport
        if transport is None:
            return held
        sealed = transport.get_extra_info("ssl_object") is not None
        return held + (COST_SEALED if sealed else 0) + transport.get_write_buffer_size()

    @property
    def _tool_is_full(self) -> bool:
        return self._tool_full or (self._up is not None and self._up.blocked)

    # -- from the tool

    def upstream_writable(self, writable: bool) -> None:
        """Back-pressure: read from the client only what the tool takes."""
        self._tool_full = not writable
        if writable and self._up is not None:
            self._up.sink_is_free()
        self._update_client_reading()
        self._touch()

    def _update_client_reading(self) -> None:
        if self._phase is not _OVER:
            self.client.pause_reading(self._tool_full or (self._up is not None and self._up.holds))

    def _pass_on(self, head: bytes, data: bytes) -> None:
        """Pass on body bytes, behind the head if it goes with them."""
        try:
            passed, rest = self._response_body.feed(data)
        except MessageError:
            # The client is to see the tool's status before its connection is reset.
            self.client.write(head)
            raise
        self._to_client(passed, head)
        if self._response_body.done:
            self._through(rest)
            return
        if self._down is None:
            self._down = self._course_down()
        self._down.goes_on(rest, len(data))

    def _to_client(self, data: bytes, head: bytes = b"") -> None:
        """Bytes of the body, or of a tunnel; `head` goes with them and is not counted."""
        self.record.bytes_out += len(data)
        if head or data:
            self.client.write(head + data if head else data)

    def _course_down(self) -> Course:
        again, changed = self.from_upstream, self._update_upstream_reading
        reports = Reports(again, changed, self._moved_down, self._down_over, self._through, self._broken)
        return Course(self._terms.bounds.means, self._response_body, self.upstream, self.client, reports)

    def _through(self, behind: bytes) -> None:
        """The response has ended. `behind` are further bytes that have come, or empty.

        Such bytes were not asked for: the connection cannot be trusted with another request (threat 15).
        """
        self.upstream_reusable = self._persistent and not behind and self._request_body.done
        self._complete()

    def _moved_down(self, count: int) -> None:
        self.record.bytes_out += count
        self._touch()

    def _down_over(self, outcome: SpliceEnd) -> None:
        if outcome is SpliceEnd.GIVEN_UP:
            self._update_upstream_reading()
        elif outcome is SpliceEnd.SOURCE_LOST:
            self.upstream_lost(None)
        elif outcome is SpliceEnd.SINK_LOST:
            self.client.eof_received()
        else:
            self._through(b"more" if outcome is SpliceEnd.DONE_AND_MORE else b"")

    # -- ends

    def let_go(self) -> None:
        """Stop moving bodies, and give up the descriptors of both connections: one of them is about to be closed."""
        for course in (self._up, self._down):
            if course is not None:
                course.close()
        # A head without an end, too: it must not wait until cycles of objects are collected.
        self._up = self._down = self._response_head = None
        if self._last is not None:
            self._last.close()
            self._last = None

    def _send_then_cut(self, ending: str) -> None:
        """The tool has closed within a body: send the client what has come of it, and then a reset."""
        if self._last is None:
            self._last = LastBytes(self.client.transport, partial(self._cut, ending))
            self._last.go_on()

    def _touch(self) -> None:
        if self._phase is not _OVER:
            timeouts = self._terms.bounds.timeouts
            # An attribute, which the watchdog looks at: a timer for each piece would cost more than the piece.
            waiting = self._phase is _HEAD
            self.client.deadline = time.monotonic() + (timeouts.first_byte if waiting else timeouts.idle)

    @abstractmethod
    def from_upstream(self, data: bytes) -> None:
        """Take what the tool sent."""

    @abstractmethod
    def upstream_lost(self, error: Exception | None) -> None:
        """The tool's side of the connection is gone."""

    @abstractmethod
    def _next_heads(self, *, last: bool = False) -> None:
        """Pass on interim responses that have come; `last`: there will be no later turn."""

    @abstractmethod
    def _client_broke(self, error: MessageError) -> None:
        """The request's body is broken."""

    @abstractmethod
    def _broken(self, error: MessageError) -> None:
        """The tool's answer is broken."""

    @abstractmethod
    def _cut(self, ending: str) -> None:
        """Reset the client's connection."""

    @abstractmethod
    def _complete(self) -> None:
        """All of the response is through."""
