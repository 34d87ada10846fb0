"""One exchange in motion: bytes both ways with back-pressure, the response head scrubbed on its way through.

Callbacks move the bytes; `run` is awaited by proxy/exchange.py and ends when both messages have, or cannot any more.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol

from connectors.model.message import Headers, RequestHead, ResponseHead, Version
from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal, RefusedError
from proxy.decision import Forward
from proxy.hop_by_hop import wants_websocket
from proxy.http1.body import BodyReader, NoBody, body_reader
from proxy.http1.buffers import ResponseBuffer
from proxy.http1.errors import MessageError
from proxy.http1.framing import BodyKind, response_framing
from proxy.http1.head import ParsedRequest, connection_tokens, write_response
from proxy.inject import request_trailers
from proxy.postponed import Postponed
from proxy.scrub import ClientSide, client_head, response_trailers
from proxy.settings import Limits, Timeouts
from proxy.upstream import UpstreamConnection

_SWITCHING_PROTOCOLS = 101


class Phase(Enum):
    """How far a response has come."""

    HEAD = "head"
    BODY = "body"
    TUNNEL = "tunnel"


class StaleConnectionError(Exception):
    """A pooled connection died before the first byte of a response: the tool had closed it."""


class ClientSideConnection(Protocol):
    """What a relay needs of proxy/client.py. `draining` says that the connection ends with its running response."""

    loop: asyncio.AbstractEventLoop
    deadline: float
    draining: bool

    def attach(self, relay: Relay) -> None:
        """Give body bytes to `relay` from now on."""
        ...

    def detach(self) -> None:
        """Keep bytes for the next request again."""
        ...

    def write(self, data: bytes) -> None:
        """Send to the client."""
        ...

    def pause_reading(self, paused: bool) -> None:
        """Stop or go on reading from the client."""
        ...

    def abort(self) -> None:
        """Reset the connection."""
        ...

    def take_buffered(self) -> bytes:
        """What was read ahead."""
        ...

    def put_back(self, rest: bytes) -> None:
        """Keep for the next request."""
        ...


@dataclass(slots=True)
class Progress:
    """What an exchange has come to: read by the audit, also when it ended badly.

    `sent` is whether the request, credential included, went to the tool. `ending` names an end that the client was not
    told of in a status: "" for none.
    """

    status: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    first_byte_at: float = 0.0
    client_reusable: bool = False
    upstream_reusable: bool = False
    request_complete: bool = False
    upstream_keep_alive: bytes = b""
    tunnelled: bool = False
    sent: bool = False
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What one relay is bound by."""

    limits: Limits
    timeouts: Timeouts
    side: ClientSide


class Relay:
    """Moves one request to `upstream` and its response to `client`."""

    def __init__(
        self,
        request: ParsedRequest,
        forward: Forward,
        client: ClientSideConnection,
        upstream: UpstreamConnection,
        terms: Terms,
        progress: Progress,
    ) -> None:
        self._request = request
        self._forward = forward
        self._client = client
        self._upstream = upstream
        self._terms = terms
        self.progress = progress
        # Not get_running_loop(): it asks the kernel for the process id each time.
        self._ended: asyncio.Future[None] = client.loop.create_future()
        self._request_body = body_reader(request.framing, partial(request_trailers, forward))
        self._phase = Phase.HEAD
        self._response_head = ResponseBuffer(terms.limits)
        self._response_body: BodyReader = NoBody()
        self._response_kind = BodyKind.NONE
        # Made on first use: each refers back to this relay, and such a cycle is the garbage collector's to find.
        self._from_tool: Postponed | None = None
        self._of_client: Postponed | None = None
        self._client_full = False
        self._tool_full = False
        self._awaits_continue = _expects_continue(request.head)
        self._persistent = False
        progress.request_complete = self._request_body.done

    async def run(self, head: bytes) -> None:
        """Send `head`, then relay to the end.

        Raises:
            RefusedError: no response has begun; the caller still has to be told.
            StaleConnectionError: a pooled connection was dead already; nothing has reached the client.
            asyncio.CancelledError: the client is gone.
        """
        self._touch()
        self._upstream.attach(self)
        self._upstream.write(head)
        self.progress.sent = True
        self._client.attach(self)
        try:
            await self._ended
        finally:
            self._client.detach()
            self._upstream.detach()
            self._upstream.pause_reading(False)

    # -- from the client

    def from_client(self, data: bytes) -> bytes:
        """Take what the client sent; gives back what belongs to its next request."""
        if self._phase is Phase.TUNNEL:
            self.progress.bytes_in += len(data)
            self._upstream.write(data)
            self._touch()
            return b""
        if self._request_body.done or self._ended.done():
            return data
        try:
            passed, rest = self._request_body.feed(data)
        except MessageError as error:
            self._client_broke(error)
            return b""
        self._awaits_continue = False
        self.progress.bytes_in += len(passed)
        self.progress.request_complete = self._request_body.done
        self._upstream.write(passed)
        self._touch()
        if rest and not self._request_body.done:
            if self._of_client is None:
                self._of_client = Postponed(self._client.loop, self._from_client_again, self._update_client_reading)
            self._of_client.put(rest)
            return b""
        return rest

    def _from_client_again(self, data: bytes) -> None:
        self._client.put_back(self.from_client(data))

    def client_writable(self, writable: bool) -> None:
        """Back-pressure: read from the tool only what the client takes."""
        self._client_full = not writable
        self._update_upstream_reading()
        self._touch()

    def _update_upstream_reading(self) -> None:
        self._upstream.pause_reading(self._client_full or bool(self._from_tool))

    def expired(self) -> None:
        """Nothing moved for too long."""
        if self._ended.done():
            return
        if self._phase is not Phase.HEAD:
            self._cut("timeout")
        elif not (self._request_body.done or self._tool_full or self._awaits_continue):
            # It is the client that keeps everybody waiting for its body.
            self._cut("client timeout")
        else:
            seconds = self._terms.timeouts.first_byte
            self._fail(Refusal(Reason.UPSTREAM_TIMEOUT, f"the tool did not begin to answer within {seconds:g} s"))

    # -- from the tool

    def from_upstream(self, data: bytes) -> None:
        """Take what the tool sent."""
        if self._ended.done():
            # Nobody asked for it: see UpstreamConnection.data_received.
            self.progress.upstream_reusable = False
            return
        try:
            match self._phase:
                case Phase.HEAD:
                    self._heads(data)
                case Phase.BODY:
                    self._body(b"", data)
                case Phase.TUNNEL:
                    self.progress.bytes_out += len(data)
                    self._client.write(data)
        except MessageError as error:
            self._broken(error)
        # Behind it: what has just arrived decides which of the times runs from now on.
        self._touch()

    def upstream_writable(self, writable: bool) -> None:
        """Back-pressure: read from the client only what the tool takes."""
        self._tool_full = not writable
        self._update_client_reading()
        self._touch()

    def _update_client_reading(self) -> None:
        self._client.pause_reading(self._tool_full or bool(self._of_client))

    def upstream_lost(self, error: Exception | None) -> None:
        """The tool's side of the connection is gone."""
        if self._from_tool:
            self._from_tool.flush()
        if self._ended.done():
            return
        if self._phase is Phase.TUNNEL or (self._response_kind is BodyKind.CLOSE and error is None):
            self._end()
        elif self._phase is Phase.BODY:
            self._cut("upstream closed early")
        elif self._response_head:
            self._fail(Refusal(Reason.UPSTREAM_PROTOCOL, "the tool closed the connection within a response head"))
        elif self._upstream.used_before and not self.progress.first_byte_at:
            self._ended.set_exception(StaleConnectionError())
        else:
            self._fail(Refusal(Reason.UPSTREAM_UNREACHABLE, "the tool closed the connection without an answer"))

    def _heads(self, data: bytes) -> None:
        """Interim responses and the final response's head (RFC 9110 section 15.2)."""
        if not self.progress.first_byte_at:
            self.progress.first_byte_at = time.monotonic()
        self._response_head.add(data)
        while self._phase is Phase.HEAD and (head := self._response_head.next_head()) is not None:
            if head.status == _SWITCHING_PROTOCOLS:
                self._switch(head)
            elif head.status < 200:
                self._interim(head)
            else:
                self._final(head)

    def _interim(self, head: ResponseHead) -> None:
        """1xx goes to the client as it comes; HTTP/1.0 knows none (RFC 9110 section 15.2)."""
        self._awaits_continue = False
        if self._request.head.version is Version.HTTP_1_1:
            self._client.write(write_response(client_head(head, self._forward, self._terms.side)))

    def _switch(self, head: ResponseHead) -> None:
        """101: only for the WebSocket that the client asked for, and only now does a byte pass unread (threat 20)."""
        upgrade = [value.lower() for value in head.values(b"upgrade")]
        if not wants_websocket(self._request.head) or upgrade != [b"websocket"]:
            raise MessageError("the tool switched protocols without being asked", Reason.UPSTREAM_PROTOCOL)
        scrubbed = client_head(head, self._forward, self._terms.side)
        own_hop = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
        switched = write_response(_with(scrubbed, scrubbed.headers + own_hop))
        self.progress.status = head.status
        self.progress.tunnelled = True
        self._phase = Phase.TUNNEL
        self._client.write(switched)
        if rest := self._response_head.take_all():
            self.from_upstream(rest)
        if early := self._client.take_buffered():
            self.from_client(early)

    def _final(self, head: ResponseHead) -> None:
        framing = response_framing(head, self._request.head.method)
        scrubbed = client_head(head, self._forward, self._terms.side)
        old_client = self._request.head.version is Version.HTTP_1_0
        decode = old_client and framing.kind is BodyKind.CHUNKED
        self.progress.client_reusable = (
            self._request.keep_alive
            and not self._client.draining
            and framing.kind is not BodyKind.CLOSE
            and not decode
            and self._request_body.done
        )
        self.progress.upstream_keep_alive = next(iter(head.values(b"keep-alive")), b"")
        self.progress.status = head.status
        self._persistent = b"close" not in connection_tokens(head) and head.version is Version.HTTP_1_1
        self._response_kind = framing.kind
        self._response_body = body_reader(framing, response_trailers, decode=decode)
        self._phase = Phase.BODY
        headers = _without_coding(scrubbed.headers) if decode else scrubbed.headers
        written = write_response(_with(scrubbed, headers + self._connection(old_client)))
        self._body(written, self._response_head.take_all())

    def _connection(self, old_client: bool) -> Headers:
        """This hop's own Connection field, where the version's default does not say it (RFC 9112 section 9.3)."""
        if not self.progress.client_reusable:
            return ((b"Connection", b"close"),)
        return ((b"Connection", b"keep-alive"),) if old_client else ()

    def _body(self, head: bytes, data: bytes) -> None:
        """Pass on body bytes, behind the head where it goes with them."""
        try:
            passed, rest = self._response_body.feed(data)
        except MessageError:
            self._client.write(head)
            raise
        self.progress.bytes_out += len(passed)
        if head or passed:
            self._client.write(head + passed if head else passed)
        if self._response_body.done:
            # Bytes behind the response's end were not asked for: the connection cannot be trusted with another request.
            self.progress.upstream_reusable = self._persistent and not rest and self._request_body.done
            self._end()
        elif rest:
            if self._from_tool is None:
                self._from_tool = Postponed(self._client.loop, self.from_upstream, self._update_upstream_reading)
            self._from_tool.put(rest)

    def _client_broke(self, error: MessageError) -> None:
        if self._phase is Phase.BODY:
            # The response has begun: a refusal would be taken for a part of its body.
            self._cut("request framing broken")
        else:
            self._fail(Refusal(error.reason, error.message))

    def _broken(self, error: MessageError) -> None:
        if self._phase is Phase.BODY:
            self._cut("upstream framing broken")
        else:
            self._fail(Refusal(Reason.UPSTREAM_PROTOCOL, error.message))

    # -- ends

    def _touch(self) -> None:
        timeouts = self._terms.timeouts
        waiting = self._phase is Phase.HEAD
        self._client.deadline = time.monotonic() + (timeouts.first_byte if waiting else timeouts.idle)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    def _cut(self, ending: str) -> None:
        """A response that cannot be completed must not look complete: reset the client's connection."""
        self.progress.ending = ending
        self.progress.client_reusable = False
        self.progress.upstream_reusable = False
        self._client.abort()
        self._end()

    def _fail(self, refusal: Refusal) -> None:
        self.progress.upstream_reusable = False
        if not self._ended.done():
            self._ended.set_exception(RefusedError(refusal))


def _expects_continue(head: RequestHead) -> bool:
    """Whether the client holds its body back until the tool has said 100 (RFC 9110 section 10.1.1)."""
    return any(value.lower() == b"100-continue" for value in head.values(b"expect"))


def _with(head: ResponseHead, headers: Headers) -> ResponseHead:
    return ResponseHead(head.status, head.reason, headers, head.version)


def _without_coding(headers: Headers) -> Headers:
    return tuple(field for field in headers if field[0].lower() not in (b"transfer-encoding", b"trailer"))
