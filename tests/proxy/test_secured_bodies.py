"""Large bodies under TLS, which are decrypted from one lent buffer into another."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial

import pytest

from proxy.buffers import LEAST, MOST, Lender, Reading, exchange_protocol
from proxy.secured import CHUNK, MAX_ANSWERED
from tests.peers.tls_client import APPLICATION, Records
from tests.proxy.test_secured import Line, arrives, crafted, fresh, line

__all__ = ["crafted", "fresh", "line"]  # fixtures


class Body:
    """A large body that a line's peer sends, as proxy/course.py has it read."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.lender = Lender()
        self.pieces: list[bytes] = []
        self.then: Callable[[], object] = lambda: None
        self.takes = True
        exchange_protocol(line.secured, Reading(self.lender, line.client, self._take))

    def _take(self, count: int) -> bool:
        buffer = self.lender.lend(count)
        self.pieces.append(bytes(buffer))
        buffer[:] = bytes(count)  # it is lent to others now
        self.then()
        return self.takes

    @property
    def got(self) -> bytes:
        return b"".join(self.pieces)

    def send(self, data: bytes) -> None:
        """The peer says it; it is on its way."""
        for start in range(0, len(data), 16_000):
            self.line.peer.write(data[start : start + 16_000])


LONG = b"".join(b"%08d" % number for number in range(200_000))
SIZES = pytest.mark.parametrize("size", [1000, CHUNK, 0], ids=["pieces", "chunks", "at once"])


@SIZES
async def test_a_large_body_is_decrypted_from_one_lent_buffer_into_another(line: Line, size: int) -> None:
    body = Body(line)
    body.send(LONG)
    line.carry(size)
    assert body.got == LONG
    assert line.client.got == b""
    exchange_protocol(line.secured, line.client)
    assert line.wire.protocol is line.secured
    line.peer.write(b"after")
    line.carry()
    assert line.client.got == b"after"


async def test_reads_of_a_large_body_grow_and_are_passed_on_as_one(line: Line) -> None:
    body = Body(line)
    body.send(LONG)
    line.carry()
    assert len(body.pieces[0]) <= LEAST
    assert max(map(len, body.pieces)) > MOST * 3 // 4
    assert line.secured._incoming.pending == 0
    body.takes = False
    body.send(LONG)
    line.carry()
    assert isinstance(line.wire.protocol, Reading)
    assert len(line.wire.protocol.get_buffer(-1)) == LEAST


async def test_a_large_body_stays_sealed_while_nobody_takes_it(line: Line) -> None:
    body = Body(line)
    body.send(LONG)
    body.then = line.secured.pause_reading
    line.carry()
    assert len(body.pieces) == 1
    assert not line.wire.reading
    body.then = lambda: None
    line.secured.resume_reading()
    await asyncio.sleep(0)
    assert body.got == LONG


async def test_no_more_is_given_to_openssl_than_the_lent_buffer_holds(line: Line) -> None:
    body, pending = Body(line), list[int]()
    line.secured.pause_reading()
    body.send(LONG[:MOST])
    line.carry()
    body.then = lambda: pending.append(line.secured._incoming.pending)
    line.secured.resume_reading()
    body.send(LONG[MOST:])
    line.carry()
    assert body.got == LONG
    assert max(pending) < CHUNK


async def test_what_is_read_behind_a_large_body_is_the_next_messages(line: Line) -> None:
    """Where more had come than the lent buffer holds."""
    body = Body(line)
    line.secured.pause_reading()
    body.send(LONG)
    line.carry()
    body.then = partial(exchange_protocol, line.secured, line.client)
    line.secured.resume_reading()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(body.pieces) == 1
    assert body.got + line.client.got == LONG


async def test_the_others_goodbye_ends_a_large_body_behind_what_came_before(line: Line) -> None:
    body = Body(line)
    body.send(LONG)
    with pytest.raises(ssl.SSLWantReadError):
        line.peer.unwrap()
    line.carry()
    assert (body.got, line.client.calls, line.wire.ended) == (LONG, ["made", "eof"], "close")


async def test_a_large_body_passes_up_to_what_was_changed_on_its_way(line: Line) -> None:
    body = Body(line)
    body.send(LONG[:32_000])
    said = bytearray(line._from_peer.read())
    said[-1] ^= 1
    arrives(line.wire.protocol or line.secured, bytes(said))
    assert (body.got, line.client.calls, line.wire.ended) == (LONG[:16_000], ["made", "eof"], "close")


@pytest.mark.parametrize("size", [20, 100_000, len(LONG)])
async def test_one_direction_can_be_closed_alone_within_a_large_body(line: Line, size: int) -> None:
    body = Body(line)
    line.secured.pause_reading()
    body.send(LONG[:size])
    line.carry()
    line.secured.write_eof()
    line.secured.resume_reading()
    await asyncio.sleep(0)
    body.send(b", after")
    line.carry()
    assert (body.got, line.wire.ended) == (LONG[:size] + b", after", "")
    assert line.seen() == b"$"


async def test_the_end_of_a_connection_is_told_within_a_large_body(line: Line) -> None:
    Body(line)
    line.secured.pause_writing()
    line.secured.connection_lost(None)
    assert line.client.calls == ["made", "pause", "lost"]


async def test_answers_to_key_updates_do_not_pile_up_within_a_large_body(crafted: tuple[Line, Records]) -> None:
    """However many come in one read."""
    line, records = crafted
    Body(line)
    grow = b"".join(records.record(APPLICATION, LONG[:16_000]) for _ in range(64))
    updates = b"".join(records.updated() for _ in range(10_000))
    assert line.wire.protocol is not None
    arrives(line.wire.protocol, grow)
    arrives(line.wire.protocol, updates)
    assert line.wire.ended == "abort"
    assert len(line.wire.sent) < 2 * MAX_ANSWERED
    assert line.secured._outgoing.pending <= CHUNK


async def test_key_updates_within_a_large_body_are_answered(crafted: tuple[Line, Records]) -> None:
    line, records = crafted
    body = Body(line)
    said = [part for _ in range(64) for part in (records.record(APPLICATION, LONG[:16_000]), records.updated())]
    assert line.wire.protocol is not None
    arrives(line.wire.protocol, b"".join(said))
    assert body.got == 64 * LONG[:16_000]
    line.secured.write(b"answer")
    assert line.seen() == b"answer"
