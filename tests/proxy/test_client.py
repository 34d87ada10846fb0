from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.http.head import ParsedRequest
from connectors.http.plain import Plain
from connectors.objects.reasons import Reason, Refusal
from proxy.client import LINGER_IDLE, MAX_BUFFERED, After, ClientConnection
from proxy.outbox import Outbox
from proxy.relay import Relay
from proxy.server import ClientTerms
from proxy.settings import Limits, Timeouts
from proxy.watchdog import NEVER, Watchdog


class Wire(asyncio.Transport):
    """A client's socket: what it was sent, and whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = ""
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def write_eof(self) -> None:
        self.ended = "eof"

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if self.ended != "abort":
            self.ended = "close"

    def abort(self) -> None:
        self.ended = "abort"

    def is_closing(self) -> bool:
        return self.ended in ("close", "abort")

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


class Desk:
    """One client connection whose requests the test answers."""

    def __init__(self, answer: Callable[[ParsedRequest], After] = lambda _: After.KEEP, room: bool = True) -> None:
        self.room = room
        self.requests: list[bytes] = []
        self.plain: list[Plain | None] = []
        self.refusals: list[Refusal] = []
        self.gone = 0
        self.hold: asyncio.Event | None = None
        self._answer = answer
        self.outbox = Outbox()
        terms = ClientTerms(
            Limits(), Timeouts(), Watchdog(1.0), self, self.outbox, self._came, self._refuse, self._gone
        )
        self.client, self.wire = ClientConnection(terms), Wire()
        self.client.connection_made(self.wire)

    def _came(self, client: ClientConnection) -> bool:
        return self.room

    def begin(self, data: bytes, client: ClientConnection) -> bool:
        """No head is known."""
        return False

    def handle(self, request: ParsedRequest, client: ClientConnection, plain: Plain | None) -> None:
        assert client.deadline is NEVER, "the exchange sets its own deadlines"
        self.requests.append(request.head.target)
        self.plain.append(plain)
        after = self._answer(request)
        client.wait_for(asyncio.ensure_future(self._answered(request, client, after)))

    async def _answered(self, request: ParsedRequest, client: ClientConnection, after: After) -> None:
        if self.hold:
            await self.hold.wait()
        client.write(b"<%b>" % request.head.target)
        client.over(after, time.monotonic())

    def _refuse(self, refusal: Refusal, _: ClientConnection) -> None:
        self.refusals.append(refusal)

    def _gone(self, _: ClientConnection) -> None:
        self.gone += 1

    async def receive(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.client.data_received(piece)
            await turns()


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(6):
        await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await turns()
    yield made
    made.client.connection_lost(None)
    await turns()


def get(target: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.lists(st.integers(0, 200), max_size=8), st.integers(0, 3))
def test_pipelined_requests_are_served_in_order_however_they_arrive(count: int, cuts: list[int], empty: int) -> None:
    targets = [b"/%d" % number for number in range(count)]
    raw = (b"\r\n" * empty).join([b"", *(get(target) for target in targets)])
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    pieces = [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    async def run() -> None:
        desk = Desk()
        await turns()
        await desk.receive(*pieces)
        await turns()
        assert desk.requests == targets
        assert desk.wire.sent == b"".join(b"<%b>" % target for target in targets)
        assert not desk.refusals
        desk.client.connection_lost(None)
        await turns()

    asyncio.run(run())


async def test_the_next_request_is_read_ahead_but_not_begun_and_not_without_bound(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    await desk.receive(get(b"/1"), get(b"/2"))
    assert desk.requests == [b"/1"]
    assert desk.wire.reading
    await desk.receive(b"POST /3 HTTP/1.1\r\nHost: a\r\nX: ", b"a" * MAX_BUFFERED)
    assert not desk.wire.reading
    desk.hold.set()
    await turns()
    assert desk.requests == [b"/1", b"/2"]


@pytest.mark.parametrize(("after", "ended"), [(After.KEEP, ""), (After.CLOSE, "close"), (After.LINGER, "eof")])
async def test_what_becomes_of_the_connection(after: After, ended: str) -> None:
    desk = Desk(lambda _: after)
    await turns()
    await desk.receive(get(b"/1") + get(b"/2"))
    assert desk.requests == ([b"/1", b"/2"] if after is After.KEEP else [b"/1"])
    assert desk.wire.ended == ended
    desk.client.connection_lost(None)


async def test_lingering_drops_what_still_comes(desk: Desk) -> None:
    await desk.receive(b"BAD\r\n\r\n")
    assert [refusal.reason for refusal in desk.refusals] == [Reason.REQUEST_MALFORMED]
    assert desk.wire.ended == "eof"
    await desk.receive(get(b"/smuggled"))
    assert desk.requests == []
    desk.client.expired()
    assert desk.wire.ended in ("close", "abort")


async def test_the_limits_reach_the_parser(desk: Desk) -> None:
    await desk.receive(b"GET /" + b"a" * Limits().target_bytes + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [refusal.reason for refusal in desk.refusals] == [Reason.URI_TOO_LONG]


async def test_a_head_that_takes_too_long_ends_in_a_reset(desk: Desk) -> None:
    await desk.receive(b"GET /")
    assert desk.client.deadline is not NEVER
    desk.client.expired()
    assert desk.wire.ended == "abort"


async def test_a_client_that_leaves_ends_its_exchange(desk: Desk) -> None:
    desk.hold = asyncio.Event()
    await desk.receive(get(b"/1"))
    desk.client.connection_lost(None)
    await turns()
    desk.hold.set()
    await turns()
    assert (desk.wire.sent, desk.gone) == (b"", 1)


async def test_a_slow_reader_gets_no_further_exchange(desk: Desk) -> None:
    await desk.receive(get(b"/1"))
    desk.client.pause_writing()
    await desk.receive(get(b"/2"))
    assert desk.requests == [b"/1"]
    desk.client.resume_writing()
    await turns()
    assert desk.requests == [b"/1", b"/2"]


@pytest.mark.parametrize(("sent", "ended"), [((), "close"), ((b"GET /",), "")], ids=["idle", "within a head"])
async def test_drain(desk: Desk, sent: tuple[bytes, ...], ended: str) -> None:
    await desk.receive(*sent)
    desk.client.drain()
    assert desk.client.draining
    assert desk.wire.ended == ended


async def test_a_defect_is_logged_and_resets(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: ParsedRequest) -> After:
        raise RuntimeError("a defect")

    desk = Desk(fail)
    await turns()
    with caplog.at_level(logging.ERROR):
        await desk.receive(get(b"/?canary-9d0e"))
    assert desk.wire.ended == "abort"
    assert "please report it" in caplog.text
    assert "canary" not in caplog.text
    desk.client.connection_lost(None)
    await turns()


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        pytest.param([get(b"/1")], [True], id="in one piece"),
        pytest.param([get(b"/1") + get(b"/2")], [True, False], id="read ahead"),
        pytest.param([get(b"/1")[:-1], get(b"/1")[-1:]], [False], id="in two pieces"),
        pytest.param([b"\r\n" + get(b"/1")], [False], id="behind an empty line"),
        pytest.param([b"\r\n", get(b"/1")], [False], id="behind an empty line that came before"),
        pytest.param([get(b"/1"), get(b"/2")], [True, True], id="one after the other"),
    ],
)
async def test_a_head_is_given_apart_only_where_it_came_whole(
    desk: Desk, pieces: list[bytes], whole: list[bool]
) -> None:
    await desk.receive(*pieces)
    await turns()
    assert [plain is not None for plain in desk.plain] == whole


async def test_an_idle_connection_keeps_no_buffer(desk: Desk) -> None:
    await desk.receive(get(b"/1")[:-1], get(b"/1")[-1:])
    assert desk.requests == [b"/1"]
    assert desk.client._buffer is None


class Knowing(Desk):
    """A desk that knows every head, and whose tools have to be dialled first."""

    def begin(self, data: bytes, client: ClientConnection) -> bool:
        client.wait_for(asyncio.ensure_future(asyncio.sleep(3600)))
        return True


async def test_no_time_of_the_connections_own_runs_while_an_exchange_waits_for_others() -> None:
    desk = Knowing()
    assert desk.client.deadline is not NEVER
    await desk.receive(get(b"/1"))
    assert desk.client.deadline is NEVER
    desk.client.connection_lost(None)
    await turns()


async def test_r15_a_connection_that_is_drained_before_it_has_begun_begins_no_request() -> None:
    desk = Knowing()
    desk.client.drain()
    desk.client.connection_made(desk.wire)
    await desk.receive(get(b"/1"))
    assert desk.requests == [b"/1"], "it was judged, and so refused"
    desk.client.connection_lost(None)
    await turns()


async def test_a_client_that_leaves_while_its_request_is_sent_again_ends_the_second_dial() -> None:
    desk = Knowing()
    await desk.receive(get(b"/1"))
    stale: Any = object()
    desk.client._relay = stale  # that of the kept connection, which was dead
    again = asyncio.ensure_future(asyncio.sleep(3600))
    desk.client.wait_for(again)
    desk.client.connection_lost(None)
    await turns()
    assert again.cancelled()


class Moving:
    """An exchange whose body is moved beside the connections."""

    tunnelled = False

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.let_go_when: list[str] = []

    def let_go(self) -> None:
        self.let_go_when.append(self._wire.ended)

    def client_lost(self) -> None: ...


@pytest.mark.parametrize("leave", [ClientConnection.abort, ClientConnection.eof_received])
async def test_r24_what_moves_a_body_is_let_go_of_before_a_reset(
    desk: Desk, leave: Callable[[ClientConnection], None]
) -> None:
    moving = Moving(desk.wire)
    desk.client.attach(cast("Relay", moving))
    leave(desk.client)
    assert (moving.let_go_when, desk.wire.ended) == ([""], "abort")


@pytest.mark.parametrize(
    ("then", "sent", "ended"),
    [
        (lambda client: client.write(b"2"), b"12", ""),
        (lambda client: client.eof_received(), b"1", ""),
        (lambda client: client.drain(), b"1", "close"),
        (lambda client: client.over(After.CLOSE, 0.0), b"1", "close"),
        (lambda client: client.over(After.LINGER, 0.0), b"1", "eof"),
    ],
    ids=["another write", "its end", "a drain", "a close", "a refusal"],
)
async def test_what_waits_to_be_sent_goes_first(
    desk: Desk, then: Callable[[ClientConnection], object], sent: bytes, ended: str
) -> None:
    desk.outbox.put(desk.wire, b"1")
    then(desk.client)
    assert (desk.wire.sent, desk.wire.ended) == (sent, ended)


async def test_a_client_that_takes_nothing_of_what_has_waited_gets_as_long_as_for_any_other_byte(desk: Desk) -> None:
    desk.client.pause_writing()
    assert 0 < desk.client.deadline - time.monotonic() <= Timeouts().idle
    assert desk.client.deadline - time.monotonic() > Timeouts().idle - 5


async def test_a_client_that_has_closed_and_takes_nothing_is_not_waited_for_without_end() -> None:
    desk = Desk(lambda _: After.LINGER)
    desk.hold = asyncio.Event()
    await desk.receive(get(b"/"))
    desk.client.eof_received()
    desk.wire.close()  # as the transport does then; something is still to be sent
    desk.hold.set()
    await turns()
    assert desk.client.deadline <= time.monotonic() + Timeouts().idle
    desk.client.expired()
    assert desk.wire.ended == "abort"


@pytest.mark.parametrize(("draining", "ended"), [(True, "close"), (False, "eof")])
async def test_one_that_lingers_does_not_hold_up_a_drain_once_it_has_taken_its_answer(
    draining: bool, ended: str
) -> None:
    desk = Desk(lambda _: After.LINGER)
    await desk.receive(get(b"/"))
    desk.client.pause_writing()
    if draining:
        desk.client.drain()
    assert desk.wire.ended == "eof"
    desk.client.resume_writing()
    assert desk.wire.ended == ended
    if not draining:
        assert desk.client.deadline <= time.monotonic() + LINGER_IDLE
