from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from connectors.model.reasons import Reason
from connectors.model.refusal import RefusedError
from proxy.http1.body import MAX_CHUNKS
from proxy.http1.buffers import MAX_INTERIM
from proxy.http1.head import parse_request
from proxy.relay import Progress, Relay, StaleConnectionError, Terms
from proxy.scrub import ClientSide
from proxy.settings import Limits, Timeouts
from proxy.upstream import UpstreamConnection
from tests.proxy.decisions import forward_of, request, tool
from tests.proxy.test_client import Wire, turns

FORWARD = forward_of(request(), tool())
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"


class Client:
    """The client's side, without a socket."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadline = 0.0
        self.sent = b""
        self.paused = False
        self.aborted = False
        self.draining = False
        self.kept = b""

    def attach(self, relay: Relay) -> None: ...

    def detach(self) -> None: ...

    def write(self, data: bytes) -> None:
        self.sent += data

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

    def __init__(self, raw: bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", *, used: bool = False) -> None:
        self.client, self.wire, self.progress = Client(), Wire(), Progress()
        self.upstream = UpstreamConnection(FORWARD.target.pool, lambda _: None)
        self.upstream.connection_made(self.wire)
        self.upstream.used_before = used
        terms = Terms(Limits(), Timeouts(), ClientSide())
        parsed = parse_request(raw, header_count=10)
        self.relay = Relay(parsed, FORWARD, self.client, self.upstream, terms, self.progress)
        self.run = asyncio.ensure_future(self.relay.run(b"<head>"))

    async def refusal(self) -> Reason:
        with pytest.raises(RefusedError) as error:
            await self.run
        return error.value.refusal.reason


async def started(raw: bytes = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n", *, used: bool = False) -> Desk:
    desk = Desk(raw, used=used)
    await turns()
    assert desk.wire.sent == b"<head>"
    return desk


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
async def test_an_answer_in_two_pieces(cut: int) -> None:
    desk = await started()
    desk.upstream.data_received(ANSWER[:cut])
    desk.upstream.data_received(ANSWER[cut:])
    await desk.run
    assert desk.client.sent == ANSWER
    progress = desk.progress
    assert (progress.status, progress.bytes_out, progress.client_reusable, progress.upstream_reusable) == (
        200,
        2,
        True,
        True,
    )


async def test_t11_what_follows_an_answer_makes_its_connection_useless() -> None:
    for rest in ([ANSWER + b"HTTP/1.1 200"], [ANSWER, b"HTTP/1.1 200"]):
        desk = await started()
        for data in rest:
            desk.upstream.data_received(data)
        await desk.run
        assert desk.client.sent == ANSWER
        assert not desk.progress.upstream_reusable


async def test_t30_only_a_used_connection_that_said_nothing_is_stale() -> None:
    desk = await started(used=True)
    desk.upstream.connection_lost(None)
    with pytest.raises(StaleConnectionError):
        await desk.run
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
    await desk.run
    assert desk.client.aborted
    assert (desk.progress.ending, desk.progress.client_reusable) == ("upstream closed early", False)


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


async def test_back_pressure_goes_through() -> None:
    desk = await started()
    desk.relay.client_writable(False)
    assert not desk.wire.reading
    desk.relay.client_writable(True)
    assert desk.wire.reading
    desk.upstream.pause_writing()
    assert desk.client.paused
    desk.upstream.resume_writing()
    assert not desk.client.paused
    desk.upstream.data_received(ANSWER)
    await desk.run


async def test_tiny_chunks_of_the_tool_are_relayed_in_turns() -> None:
    desk = await started()
    body = b"1\r\nx\r\n" * (3 * MAX_CHUNKS) + b"0\r\n\r\n"
    desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert 0 < desk.client.sent.count(b"x") <= MAX_CHUNKS
    assert not desk.wire.reading
    await desk.run
    assert desk.client.sent.endswith(body)
    assert desk.wire.reading
    assert desk.progress.upstream_reusable


async def test_tiny_chunks_of_a_tool_that_is_gone_are_relayed_to_the_end() -> None:
    desk = await started()
    body = b"1\r\nx\r\n" * (3 * MAX_CHUNKS) + b"0\r\n\r\n"
    desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    desk.upstream.connection_lost(ConnectionResetError())
    await desk.run
    assert desk.client.sent.endswith(body)
    assert not desk.client.aborted


async def test_tiny_chunks_of_the_client_are_relayed_in_turns_and_the_next_request_stays() -> None:
    desk = await started(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = b"1\r\nx\r\n" * (2 * MAX_CHUNKS) + b"0\r\n\r\n"
    assert desk.relay.from_client(body + b"next") == b""
    assert desk.client.paused
    await turns()
    assert desk.wire.sent == b"<head>" + body
    assert desk.client.kept == b"next"
    assert not desk.client.paused
    desk.upstream.data_received(ANSWER)
    await desk.run
    assert desk.progress.client_reusable


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
        await desk.run
        del desk
        await turns()
        assert seen() is None
    finally:
        gc.enable()
