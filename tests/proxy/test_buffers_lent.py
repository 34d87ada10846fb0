from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from proxy.buffers import LEAST, MAX_PIECES, MOST, MOST_BEHIND, PIECE, Lender, Reading, exchange_protocol, write_now
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.test_client import Wire
from tests.proxy.test_course import End
from tests.proxy.test_splice import until

A, B = b"a" * MOST, b"b" * MOST


class Heard(asyncio.Protocol):
    """A connection's own protocol, which hears of everything but of what is read."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def pause_writing(self) -> None:
        self.heard.append("pause")

    def resume_writing(self) -> None:
        self.heard.append("resume")

    def eof_received(self) -> None:
        self.heard.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.append(exc)


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[RawStream, End]]:
    async with RawUpstream() as peer:
        _, end = await asyncio.get_running_loop().create_connection(End, "127.0.0.1", peer.port)
        yield await peer.accept(), end
        end.own.abort()


def test_reads_grow_while_all_is_taken_and_shrink_when_it_is_not() -> None:
    takes = True
    reading = Reading(Lender(), Heard(), lambda _: takes)
    sizes = []
    for _ in range(8):
        sizes.append(len(reading.get_buffer(-1)))
        reading.buffer_updated(sizes[-1])
    assert (sizes[0], sizes[-1]) == (LEAST, MOST)
    assert all(later in (2 * earlier, MOST) for earlier, later in pairwise(sizes))
    reading.buffer_updated(1000)
    assert len(reading.get_buffer(-1)) == MOST, "what came was all there was: that says nothing"
    takes = False
    reading.buffer_updated(MOST)
    assert len(reading.get_buffer(-1)) == LEAST


def test_t32_no_more_is_read_than_the_other_side_has_room_for() -> None:
    """And a PIECE, of which nothing need be taken."""
    room = MOST
    reading = Reading(Lender(), Heard(), lambda _: True, lambda: room)
    for _ in range(8):
        reading.buffer_updated(len(reading.get_buffer(-1)))
    room = 100_000
    assert len(reading.get_buffer(-1)) == PIECE + 100_000
    room = 0
    assert len(reading.get_buffer(-1)) == PIECE


def test_t32_the_room_is_used_up_before_it_is_asked_for_again() -> None:
    """The kernel's answer costs as much as a small read."""
    asked: list[int] = []

    def room() -> int:
        asked.append(4 * MOST)
        return asked[-1]

    reading = Reading(Lender(), Heard(), lambda _: True, room)
    for _ in range(8):
        reading.buffer_updated(len(reading.get_buffer(-1)))
    assert len(asked) == 1
    for _ in range(4):
        reading.buffer_updated(len(reading.get_buffer(-1)))
    assert len(asked) == 2


class Behind(Wire):
    """A side that has not taken so many bytes."""

    unsent = PIECE + 1

    def get_write_buffer_size(self) -> int:
        return self.unsent


@pytest.mark.parametrize("sealed", [False, True])
def test_t32_few_sides_may_have_more_than_a_piece_unsent(sealed: bool) -> None:
    """Where the kernel takes less than it has said."""
    lender, sides = Lender(), [Behind() for _ in range(MOST_BEHIND)]
    reading = Reading(lender.sealed if sealed else lender, Heard(), lambda _: True, lambda: 4 * MOST)
    for _ in range(8):
        reading.buffer_updated(len(reading.get_buffer(-1)))
    for side in sides:
        assert len(reading.get_buffer(-1)) == MOST
        lender.left(side)
        lender.left(side)
    assert len(reading.get_buffer(-1)) == PIECE
    sides[0].unsent = PIECE
    assert len(reading.get_buffer(-1)) == MOST
    lender.left(sides[0])
    assert len(reading.get_buffer(-1)) == MOST


def test_what_is_sealed_is_read_into_a_buffer_of_its_own() -> None:
    lender = Lender()
    assert lender.sealed is lender.sealed
    assert lender.sealed.buffer is not lender.buffer


def test_all_else_is_the_connections_own() -> None:
    own, lost = Heard(), ConnectionResetError()
    reading = Reading(Lender(), own, lambda _: True)
    reading.pause_writing()
    reading.resume_writing()
    reading.eof_received()
    reading.connection_lost(lost)
    assert own.heard == ["pause", "resume", "eof", lost]


async def test_a_protocol_is_exchanged_between_two_reads() -> None:
    """And reading goes on as it was."""
    async with connection() as (peer, end):
        lender, taken = Lender(), asyncio.Queue[bytes]()

        def take(count: int) -> bool:
            taken.put_nowait(bytes(lender.buffer[Lender.AHEAD : Lender.AHEAD + count]))
            return True

        own = Heard()
        exchange_protocol(end.own, Reading(lender, own, take))
        peer.send(b"first")
        assert await taken.get() == b"first"
        exchange_protocol(end.own, own)
        peer.send(b"second")
        await until(lambda: bool(own.heard))
        assert own.heard == [b"second"]
        end.own.pause_reading()
        exchange_protocol(end.own, Reading(lender, own, take))
        assert not end.own.is_reading()
        peer.send(b"third")
        end.own.resume_reading()
        assert await taken.get() == b"third"


async def test_r22_what_is_not_sent_at_once_is_a_copy() -> None:
    """The buffer is another's by then."""
    async with connection() as (peer, end):
        peer.transport.pause_reading()
        lender, sent, all_taken = Lender(), 0, True
        while all_taken:
            lender.lend(MOST)[:] = A
            all_taken = write_now(end.own, [lender.lend(MOST)])
            lender.lend(MOST)[:] = B
            sent += MOST
        lender.lend(MOST)[:] = A
        assert not write_now(end.own, [lender.lend(10), b"cc", lender.lend(5)]), "in order, behind what waits"
        lender.lend(MOST)[:] = B
        peer.transport.resume_reading()
        assert await peer.read_exactly(sent + 17, 20) == b"a" * sent + b"a" * 10 + b"cc" + b"a" * 5


@pytest.mark.parametrize("count", [1, 2, MAX_PIECES, MAX_PIECES + 1, 2000])
async def test_pieces_go_out_in_order(count: int) -> None:
    async with connection() as (peer, end):
        pieces = [os.urandom(3) for _ in range(count)]
        assert write_now(end.own, [memoryview(piece) for piece in pieces])
        assert await peer.read_exactly(3 * count) == b"".join(pieces)


async def test_an_error_is_the_transports_to_find() -> None:
    async with connection() as (peer, end):
        own = Heard()
        exchange_protocol(end.own, own)
        peer.reset()
        while not own.heard:
            write_now(end.own, [memoryview(A)])
            await asyncio.sleep(0)


class Waiting(Wire):
    """Has bytes that wait for the end of the turn, as uvloop's has, while the kernel would take more."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self._end = end

    def get_write_buffer_size(self) -> int:
        return 5

    def get_extra_info(self, name: str, default: object = None) -> object:
        return None if name == "ssl_object" else self._end.own.get_extra_info(name, default)


async def test_r23_what_waits_is_not_overtaken() -> None:
    async with connection() as (peer, end):
        waiting = Waiting(end)
        assert not write_now(waiting, [memoryview(b"abc")])
        assert waiting.sent == b"abc"
        end.own.write(b"x")
        assert await peer.read_exactly(1) == b"x"


class Tls(Wire):
    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "ssl_object" else default


async def test_under_tls_the_transport_has_to_write() -> None:
    transport = Tls()
    assert write_now(transport, [memoryview(b"abc"), b"de"])
    assert transport.sent == b"abcde"
