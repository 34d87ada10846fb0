from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest

from connectors.http.head import parse_request
from connectors.objects.reasons import Reason
from proxy.audit.audit import Record
from proxy.buffers import MAX_INTERIM, Piece
from proxy.client import ClientConnection
from proxy.outbox import Outbox
from proxy.relay import Bounds, End, Relay, Terms
from proxy.request import Passage
from proxy.response import KnownLines
from proxy.scrub import ClientSide
from proxy.settings import Limits, Timeouts
from proxy.upstream import IdlePool, UpstreamConnection
from tests.proxy.decisions import ANYBODY, forward_of, request, tool
from tests.proxy.test_client import Wire, turns

FORWARD = forward_of(request(), tool())
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"


class Client(ClientConnection):
    """The client's side, without a socket."""

    __slots__ = ("aborted", "kept", "outbox", "paused", "wire")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.transport = self.wire = Wire()
        self.deadline = 0.0
        self.paused = False
        self.aborted = False
        self.draining = False
        self.kept = b""
        self.outbox = Outbox()

    def attach(self, relay: Relay) -> None: ...

    @property
    def sent(self) -> bytes:
        self.outbox.flush()
        return self.wire.sent

    def write(self, data: bytes) -> None:
        self.outbox.flush()
        self.wire.write(data)

    def pause_reading(self, paused: bool) -> None:
        self.paused = paused

    def abort(self) -> None:
        self.aborted = True

    def take_buffered(self) -> bytes:
        return b""

    def put_back(self, rest: bytes) -> None:
        self.kept += rest


class Desk:
    """A relay between two sides that the test plays."""

    def __init__(
        self, raw: bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", *, used: bool = False, early: bytes = b""
    ) -> None:
        self.client, self.wire = Client(), Wire()
        self.upstream = UpstreamConnection(IdlePool(FORWARD.target.pool), lambda _: None, Piece())
        self.upstream.connection_made(self.wire)
        self.upstream.idle_since = time.monotonic() if used else 0.0
        self.over = asyncio.Event()
        parsed = parse_request(raw, header_count=10)
        self.record = Record(parsed.head.method, parsed.head.target, 1, time.monotonic())
        known = self.known = KnownLines(10_000)
        passage = Passage(parsed, FORWARD, ANYBODY, self.upstream.pool, known)
        over, self.outbox = self.over, Outbox()
        terms = Terms(Bounds(Limits(), Timeouts(), ClientSide()), lambda _: over.set(), self.outbox)
        self.client.outbox = self.outbox
        self.relay = Relay(terms, self.record, passage, self.client, FORWARD.request_target)
        self.head = self.relay.head = passage.head(parsed.head.method, FORWARD.request_target)
        self.left = self.relay.start(self.upstream, time.monotonic(), early)
        self.outbox.flush()

    async def refusal(self) -> Reason:
        await self.over.wait()
        assert self.relay.end is End.REFUSED
        assert self.relay.refusal
        return self.relay.refusal.reason


async def started(raw: bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", *, used: bool = False) -> Desk:
    desk = Desk(raw, used=used)
    assert desk.wire.sent == desk.head
    return desk


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
async def test_an_answer_in_two_pieces(cut: int) -> None:
    desk = await started()
    desk.upstream.data_received(ANSWER[:cut])
    desk.upstream.data_received(ANSWER[cut:])
    await desk.over.wait()
    assert desk.client.sent == ANSWER
    relay, record = desk.relay, desk.record
    assert (record.answered, record.bytes_out, relay.client_reusable, relay.upstream_reusable) == (200, 2, True, True)


POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


@pytest.mark.parametrize(
    ("early", "sent", "left", "complete"),
    [
        (b"", b"", b"", False),
        (b"ab", b"ab", b"", False),
        (b"abc", b"abc", b"", True),
        (b"abcGET /", b"abc", b"GET /", True),
    ],
    ids=["none", "a part", "all", "more"],
)
async def test_a_body_that_came_with_its_head(early: bytes, sent: bytes, left: bytes, complete: bool) -> None:
    desk = Desk(POST, early=early)
    assert desk.wire.sent == desk.head + sent
    assert (desk.left, desk.relay.request_complete, desk.record.bytes_in) == (left, complete, len(sent))


async def test_t11_what_follows_an_answer_makes_its_connection_useless() -> None:
    desk = await started()
    desk.upstream.data_received(ANSWER + b"HTTP/1.1 200")
    await desk.over.wait()
    assert desk.client.sent == ANSWER
    assert not desk.relay.upstream_reusable
    late = await started()
    late.upstream.data_received(ANSWER)
    late.upstream.receiver = None  # as proxy/exchange.py does when it hears of the end
    late.upstream.data_received(b"HTTP/1.1 200")
    assert late.client.sent == ANSWER
    assert late.wire.ended == "abort"


async def test_t30_only_a_used_connection_that_said_nothing_is_stale() -> None:
    desk = await started(used=True)
    desk.upstream.connection_lost(None)
    assert desk.relay.end is End.STALE
    fresh = await started()
    fresh.upstream.connection_lost(None)
    assert await fresh.refusal() is Reason.UPSTREAM_UNREACHABLE
    spoken = await started(used=True)
    spoken.upstream.data_received(b"HTTP/1.1 100 Continue\r\n\r\n")
    spoken.upstream.connection_lost(None)
    assert await spoken.refusal() is Reason.UPSTREAM_UNREACHABLE


async def test_an_answer_that_breaks_off_resets_the_client() -> None:
    desk = await started()
    desk.upstream.data_received(ANSWER[:-1])
    desk.upstream.connection_lost(None)
    await desk.over.wait()
    assert desk.client.aborted
    assert (desk.record.ending, desk.relay.client_reusable) == ("upstream closed early", False)


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\nX: y\n\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000, b"\0" * 10],
    ids=["ssh", "bare LF", "endless", "zeros"],
)
async def test_what_is_not_an_answer_is_refused_without_waiting(answer: bytes) -> None:
    desk = await started()
    desk.upstream.data_received(answer)
    assert await desk.refusal() is Reason.UPSTREAM_PROTOCOL
    assert desk.client.sent == b""


async def test_t20_a_switch_that_nobody_asked_for() -> None:
    desk = await started()
    desk.upstream.data_received(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert await desk.refusal() is Reason.UPSTREAM_PROTOCOL


async def test_a_flood_of_interim_responses_is_no_answer() -> None:
    desk = await started()
    desk.upstream.data_received(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)
    assert await desk.refusal() is Reason.UPSTREAM_PROTOCOL
    assert desk.client.sent.count(b"102") == MAX_INTERIM


async def test_a_finished_relay_leaves_nothing_to_the_garbage_collector() -> None:
    gc.disable()
    try:
        desk = await started()
        seen = weakref.ref(desk.relay)
        desk.upstream.data_received(ANSWER)
        await desk.over.wait()
        desk.upstream.receiver = None
        del desk
        await turns()
        assert seen() is None
    finally:
        gc.enable()
