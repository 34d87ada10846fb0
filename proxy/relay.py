"""One exchange in motion: bytes both ways with back-pressure, the response head treated on its way through.

Callbacks alone move it, from `start` to `end`: no task, future or timer for a request that waits for nothing but the
tool. Both roads to a response head come together in `_answer`: known lines, and llhttp with the strict rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from connectors.http.body import body_reader, is_one_chunk
from connectors.http.framing import BODYLESS, BodyKind, framing_of_response, response_framing
from connectors.http.head import HEAD_END, write_response
from connectors.http.message import MessageError, ResponseHead
from connectors.objects.reasons import Reason, Refusal
from proxy.audit.audit import Record
from proxy.bodies import Bodies, Phase
from proxy.buffers import ResponseBuffer
from proxy.callers.tokens import Presented
from proxy.course import Means
from proxy.decision import Forward
from proxy.inject import request_trailers
from proxy.locations import UriReferences
from proxy.outbox import Outbox
from proxy.request import Passage
from proxy.response import Answer, broken_answer, judged_answer, known_answer, without_coding
from proxy.scrub import ClientSide, client_head, field_for_client, response_trailers
from proxy.settings import Limits, Timeouts
from proxy.upstream import UpstreamConnection

if TYPE_CHECKING:
    from proxy.client import ClientConnection  # which imports this module for the same reason

_SWITCHING_PROTOCOLS = 101
# Bytes of interim heads that are read before others have a turn: some milliseconds of the costliest fields there are.
MAX_HEADS_AT_ONCE = 16 * 1024
INTERIM_AT_ONCE = 2  # of these heads: the addresses in one take 3 ms, and four a turn of eight requests make 0.1 s

# The members by names of their own: to look one up in its class costs as much as two calls, until Python 3.12.
_HEAD, _BODY, _TUNNEL, _OVER = Phase
_LENGTH, _CHUNKED, _CLOSE = BodyKind.LENGTH, BodyKind.CHUNKED, BodyKind.CLOSE


@dataclass(frozen=True, slots=True)
class Bounds:
    """What every relay is bound by, and how clients reach this proxy."""

    limits: Limits
    timeouts: Timeouts
    side: ClientSide
    means: Means = field(default_factory=Means)


@dataclass(frozen=True, slots=True)
class Terms:
    """`ended` is called once for each relay, when it has come to its end."""

    bounds: Bounds
    ended: Callable[[Relay], None]
    outbox: Outbox


class End(Enum):
    """How a relay ended: both messages are through, a refusal is to be sent, or the request may be sent again."""

    DONE = "done"
    REFUSED = "refused"
    STALE = "stale"
    CLIENT_LOST = "client lost"


_DONE = End.DONE


class Relay(Bodies):
    """Moves one request to `upstream` and its response to `client`.

    `head` is what goes to the tool, `target` the request-target without the credential's part of its query, `spent` the
    caller's token where a trailer could still hold it; `repeatable`: the request may go out a second time. What is set
    in the class is what most requests never change.
    """

    end = End.DONE
    refusal: Refusal | None = None
    head = b""
    spent: Presented | None = None
    repeatable = False
    client_reusable = False
    upstream_keep_alive = b""
    tunnelled = False
    _forward: Forward | None = None
    _references: UriReferences | None = None
    _response_kind = BodyKind.NONE

    def __init__(self, terms: Terms, record: Record, passage: Passage, client: ClientConnection, target: bytes) -> None:
        self._terms = terms
        self.record = record
        self.passage = passage
        self.client = client
        self.target = target

    def start(self, upstream: UpstreamConnection, now: float, ahead: bytes = b"") -> bytes:
        """Send the request; what follows comes by callbacks, and `Terms.ended` hears of the end.

        `ahead` came with its head. Returns the part of it that belongs to the next request.
        """
        passage, head = self.passage, self.head
        framing = passage.framing
        # One write for both: most uploads are small, and a second write is a second call of the kernel.
        if framing.kind is _LENGTH and framing.length == len(ahead):
            # All of the body is here, and goes out with the head.
            self.record.bytes_in += len(ahead)
            head, ahead = head + ahead, b""
        elif passage.has_body:
            chunked = framing.kind is _CHUNKED
            trailers = partial(request_trailers, self.forward) if chunked else response_trailers
            self._request_body = body_reader(framing, trailers)
            self._awaits_continue = passage.waits
        self.upstream = upstream
        upstream.receiver = self
        outbox, transport = self._terms.outbox, upstream.transport
        if transport is not None:
            if self._request_body.done and upstream.idle_since:
                outbox.put(transport, head)
            else:
                # More of it follows, or a handshake's last word stands before it, and goes in one packet with it.
                outbox.flush()
                transport.write(head)
        # Before an answer, and even without one: the credential has left, and the audit log must say so.
        self.record.sent = True
        client = self.client
        client.deadline = now + self._terms.bounds.timeouts.first_byte
        client.attach(self)
        return self.from_client(ahead) if ahead else ahead

    def another(self) -> Relay:
        """The same request once more."""
        again = Relay(self._terms, self.record, self.passage, self.client, self.target)
        again.head, again.spent, again.repeatable = self.head, self.spent, self.repeatable
        return again

    @property
    def forward(self) -> Forward:
        """The decision with this request's own target."""
        if self._forward is None:
            self._forward = self.passage.forward.asking(self.target, self.spent)
        return self._forward

    @property
    def request_complete(self) -> bool:
        """Whether all of the request has come."""
        return self._request_body.done

    # -- from the client

    def client_lost(self) -> None:
        """The client is gone."""
        self._over(End.CLIENT_LOST)

    def expired(self) -> None:
        """Nothing moved for too long."""
        if self._phase is _OVER:
            return
        if self._phase is not _HEAD:
            self._cut("timeout")
        elif self._heads_wait or not (self._request_body.done or self._tool_is_full or self._awaits_continue):
            # The client takes no interim responses, or has stopped sending its body: the tool cannot be blamed.
            self._cut("client timeout")
        else:
            seconds = self._terms.bounds.timeouts.first_byte
            self._fail(Refusal(Reason.UPSTREAM_TIMEOUT, f"the tool did not begin to answer within {seconds:g} s"))

    # -- from the tool

    def from_upstream(self, data: bytes) -> None:
        """Take what the tool sent."""
        phase = self._phase
        try:
            if phase is _HEAD:
                if self._response_head is None:
                    if not self.record.first_byte_at:
                        self.record.first_byte_at = time.monotonic()
                    end = data.find(HEAD_END)
                    # A head that was read before is looked for here: most are, and a call costs as much as the look.
                    answer = self.passage.known.heads.get(data[:end]) if end > 0 else None
                    if answer is None and end > 0:
                        answer = self._known(data[:end])
                    if answer is not None:
                        self._answer(answer, data[end + 4 :])
                    else:
                        self._response_head = ResponseBuffer(self._terms.bounds.limits)
                        self._heads(data, self._response_head)
                else:
                    self._heads(data, self._response_head)
            elif phase is _BODY:
                self._pass_on(b"", data)
            elif phase is _TUNNEL:
                self._to_client(data)
        except MessageError as error:
            self._broken(error)
        if self._phase is not _OVER:
            # Only now, since what has just arrived decides which timeout counts from here on.
            self._touch()

    def upstream_lost(self, error: Exception | None) -> None:
        """The tool's side of the connection is gone."""
        error = error or self._tool_fault
        if self._down is not None:
            self._down.flush()
        self._next_heads(last=True)
        if self._phase is _OVER:
            return
        if self._phase is _TUNNEL or (self._response_kind is _CLOSE and error is None):
            self._over(End.DONE)
        elif self._phase is _BODY:
            self._send_then_cut("upstream closed early")
        elif self._response_head:
            self._fail(Refusal(Reason.UPSTREAM_PROTOCOL, "the tool closed the connection within a response head"))
        # A kept connection may have died unseen; only then may a request go out again (RFC 9112 section 9.3.1).
        elif self.upstream.used_before and not self.record.first_byte_at:
            self._over(End.STALE)
        else:
            self._fail(Refusal(Reason.UPSTREAM_UNREACHABLE, "the tool closed the connection without an answer"))

    def _heads(self, data: bytes, buffer: ResponseBuffer) -> None:
        """Interim responses and the final response's head (RFC 9110 section 15.2), new ones."""
        buffer.add(data)
        if not self._heads_wait:
            self._take_heads(buffer)

    def _take_heads(self, buffer: ResponseBuffer, *, last: bool = False) -> None:
        """MAX_HEADS_AT_ONCE of heads, up to the end of one: the rest waits for a later turn, or for the client.

        All MUST be forwarded (RFC 9110 section 15.2), so the tool is not read meanwhile. `last`: no later turn comes.
        """
        left = len(buffer) - MAX_HEADS_AT_ONCE
        waits, more = False, INTERIM_AT_ONCE
        while self._phase is _HEAD and not waits and (head := buffer.next_head()) is not None:
            if head.status == _SWITCHING_PROTOCOLS:
                self._switch(head, buffer)
            elif head.status < 200:
                self._interim(head)
                more -= 1
                waits = not last and (self._client_full or 0 < len(buffer) <= (left if more else len(buffer)))
            else:
                self._final(head, buffer)
        if waits != self._heads_wait:
            self._heads_wait = waits
            self._update_upstream_reading()
        if waits and not self._client_full:
            self.client.loop.call_soon(self._next_heads)

    def _next_heads(self, *, last: bool = False) -> None:
        """In a turn of its own, or now that the client takes again what it is sent."""
        buffer = self._response_head
        if self._phase is not _HEAD or buffer is None or not self._heads_wait or (self._client_full and not last):
            return
        try:
            self._take_heads(buffer, last=last)
        except MessageError as error:
            self._broken(error)
        self._touch()

    def _known(self, head: bytes) -> Answer | None:
        limits = self._terms.bounds.limits
        # As the long way would judge it: what is known in parts must not pass a limit as a whole.
        if len(head) > limits.head_bytes:
            return None
        return known_answer(head, self.passage.known, self._for_client, limits.header_count)

    def _for_client(self, name: bytes, value: bytes) -> bytes | None:
        if self._references is None:
            self._references = UriReferences(self.forward, self._terms.bounds.side.scheme)
        return field_for_client(name, value, self._references)

    def _interim(self, head: ResponseHead) -> None:
        """Pass 1xx on at once; but HTTP/1.0 does not know it (RFC 9110 section 15.2)."""
        self._awaits_continue = False
        if not self.passage.old:
            self.client.write(write_response(client_head(head, self.forward, self._terms.bounds.side)))

    def _switch(self, head: ResponseHead, buffer: ResponseBuffer) -> None:
        """101: only for the WebSocket that the client asked for, and only now does a byte pass unread (threat 20)."""
        # Compared with what the client asked for: a tool that switches by itself would open a way past every rule here.
        upgrade = [value.lower() for value in head.values(b"upgrade")]
        if not self.passage.websocket or upgrade != [b"websocket"]:
            raise MessageError("the tool switched protocols without being asked", Reason.UPSTREAM_PROTOCOL)
        scrubbed = client_head(head, self.forward, self._terms.bounds.side)
        own_hop = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
        switched = ResponseHead(head.status, head.reason, scrubbed.headers + own_hop, head.version)
        self.record.answered = head.status
        self.tunnelled = True
        self._phase = _TUNNEL
        self.client.write(write_response(switched))
        if rest := buffer.take_all():
            self.from_upstream(rest)
        # Read ahead before the 101 came: it belongs to the tunnel, and not to a next request.
        if early := self.client.take_buffered():
            self.from_client(early)

    def _final(self, head: ResponseHead, buffer: ResponseBuffer) -> None:
        headers = client_head(head, self.forward, self._terms.bounds.side).headers
        answer = judged_answer(head, headers)
        if self.passage.old and response_framing(head, self.record.method).kind is _CHUNKED:
            answer.head = judged_answer(head, without_coding(headers)).head
        self.passage.known.learn(buffer.status_line, head)
        self._answer(answer, buffer.take_all())

    def _answer(self, answer: Answer, rest: bytes) -> None:
        """The head for the client, and `rest`, the beginning of what is behind it."""
        client, record, passage, head, status = self.client, self.record, self.passage, answer.head, answer.status
        record.answered = status
        stays = passage.stays and self._request_body.done and not client.draining
        if stays and len(rest) == answer.length_if_kept and record.method != b"HEAD":
            # Most answers: all has come at once, and both connections stay.
            self.client_reusable, self.upstream_reusable, self.upstream_keep_alive = True, True, answer.keep_alive
            record.bytes_out += len(rest)
            if client.transport is not None:
                self._terms.outbox.put(client.transport, answer.head_if_kept + rest)
            self._phase = _OVER
            self._terms.ended(self)
            return
        framing = answer.framing
        if framing is None or record.method == b"HEAD" or status in BODYLESS:
            framing = framing_of_response(framing, status, record.method)
        kind = framing.kind
        decode = kind is _CHUNKED and passage.old
        complete = self._request_body.done
        reusable = passage.keep_alive and complete and kind is not _CLOSE and not decode and not client.draining
        self.client_reusable = reusable
        self.upstream_keep_alive = answer.keep_alive
        if not reusable:
            head += b"Connection: close\r\n"
        elif passage.old:
            # HTTP/1.0 closes unless told otherwise (RFC 9112 section 9.3); the field belongs to this hop.
            head += b"Connection: keep-alive\r\n"
        if len(rest) == framing.length if kind is _LENGTH else kind is _CHUNKED and not decode and is_one_chunk(rest):
            if client.transport is not None:
                self._terms.outbox.put(client.transport, head + b"\r\n" + rest)
            record.bytes_out += len(rest)
            # While a part of the request is still to come, the tool would take another request for that part.
            self.upstream_reusable = answer.persistent and complete
            if complete:
                self._phase = _OVER
                self._terms.ended(self)
            else:
                self._over(_DONE)
            return
        self._persistent = answer.persistent
        self._phase = _BODY
        self._response_kind = kind
        self._response_body = body_reader(framing, response_trailers, decode=decode)
        self._pass_on(head + b"\r\n", rest)

    # -- ends

    def _client_broke(self, error: MessageError) -> None:
        if self._phase is _BODY:
            # The response has begun: a refusal would be taken for a part of its body.
            self._cut("request framing broken")
        else:
            self._fail(error.refusal)

    def _broken(self, error: MessageError) -> None:
        if self._phase is _BODY:
            self._cut("upstream framing broken")
        else:
            self._fail(broken_answer(error))

    def _complete(self) -> None:
        self._over(End.DONE)

    def _cut(self, ending: str) -> None:
        """A response that cannot be completed must not look complete: reset the client's connection."""
        self.record.ending = ending
        # First of all: while another descriptor of the connection is open, the kernel sends no reset.
        self.let_go()
        self.client_reusable = False
        self.upstream_reusable = False
        self.client.abort()
        self._over(End.DONE)

    def _fail(self, refusal: Refusal) -> None:
        self.upstream_reusable = False
        self.refusal = refusal
        self._over(End.REFUSED)

    def _over(self, end: End) -> None:
        if self._phase is not _OVER:
            self._phase = _OVER
            self.end = end
            if self._up or self._down or self._last or self._response_head:
                self.let_go()
            self._terms.ended(self)
