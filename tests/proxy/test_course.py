from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from connectors.http.body import MAX_CHUNKS, BodyReader, ChunkedBody, LengthBody, UntilCloseBody
from connectors.http.message import MessageError
from proxy.buffers import UNSENT, Reading
from proxy.course import LARGE, LARGE_SEALED, Course, Means, Reports, left_of, socket_of
from proxy.splice import WORTH, Pipes, SpliceEnd
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.test_client import Wire, turns
from tests.proxy.test_splice import until

BODY = os.urandom(4 * WORTH)


class End(asyncio.Protocol):
    """This process's end of one connection, as the client's and the tool's are."""

    transport: asyncio.Transport | None = None
    took: Callable[[bytes], None] = staticmethod(lambda _: None)
    full = False
    changed: Callable[[], None] = staticmethod(lambda: None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(UNSENT)  # as both sides of a relay have it

    def data_received(self, data: bytes) -> None:
        self.took(data)

    def pause_writing(self) -> None:
        self.full = True
        self.changed()

    def resume_writing(self) -> None:
        self.full = False
        self.changed()

    @property
    def own(self) -> asyncio.Transport:
        assert self.transport
        return self.transport


class Desk:
    """A body from `tool` to `client`, which the test plays, and what is heard of it."""

    def __init__(self, tool: RawStream, client: RawStream, source: End, sink: End) -> None:
        self.tool, self.client, self.source, self.sink = tool, client, source, sink
        self.moved = 0
        self.outcome: asyncio.Future[SpliceEnd] = asyncio.get_running_loop().create_future()
        self.again: list[bytes] = []
        self.late = b""
        self.behind: list[bytes] = []
        self.faults: list[MessageError] = []

    def course(self, reader: BodyReader, pipes: Pipes | None = None) -> Course:
        ends = (self.outcome.set_result, self.behind.append, self.faults.append)
        reports = Reports(self._again, self._changed, self._moved, *ends)
        self.reader = reader
        self.of_body = Course(Means(pipes or Pipes()), reader, self.source, self.sink, reports)
        self.source.took = self.took
        self.sink.changed = self._changed
        return self.of_body

    def took(self, data: bytes) -> None:
        """As proxy/bodies.py does."""
        if self.reader.done:
            self.late += data
            return
        passed, rest = self.reader.feed(data)
        self.sink.own.write(passed)
        if not self.reader.done:
            self.of_body.goes_on(rest, len(data))

    def _again(self, data: bytes) -> None:
        self.again.append(data)

    def _changed(self) -> None:
        if not self.sink.full:
            self.of_body.sink_is_free()
        if self.of_body.holds or self.sink.full:
            self.source.own.pause_reading()
        else:
            self.source.own.resume_reading()

    def _moved(self, count: int) -> None:
        self.moved += count


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    loop = asyncio.get_running_loop()
    async with RawUpstream() as one, RawUpstream() as other:
        _, source = await loop.create_connection(End, "127.0.0.1", one.port)
        _, sink = await loop.create_connection(End, "127.0.0.1", other.port)
        made = Desk(await one.accept(), await other.accept(), source, sink)
        yield made
        source.own.abort()
        sink.own.abort()


async def test_a_large_body_is_moved_from_its_second_turn_on() -> None:
    async with desk() as at:
        course = at.course(LengthBody(len(BODY)))
        at.tool.send(BODY)
        assert await at.client.read_exactly(len(BODY)) == BODY
        assert await asyncio.wait_for(at.outcome, 10) is SpliceEnd.DONE
        assert at.moved > WORTH
        assert at.reader.done
        course.close()


async def test_a_body_that_is_not_worth_it_is_read() -> None:
    async with desk() as at:
        course = at.course(LengthBody(LARGE))
        at.tool.send(BODY[:1])
        await at.client.read_exactly(1)
        await turns()
        assert not course.holds
        at.tool.send(BODY[1:LARGE])
        assert await at.client.read_exactly(LARGE - 1) == BODY[1:LARGE]
        assert at.moved == 0


READERS: tuple[Callable[[], BodyReader], ...] = (
    lambda: LengthBody(len(BODY)),
    UntilCloseBody,
    lambda: ChunkedBody(lambda trailers: trailers),
)


@pytest.mark.parametrize("reader", READERS, ids=["length", "until close", "chunks"])
async def test_any_other_large_body_passes_through_the_lent_buffer(reader: Callable[[], BodyReader]) -> None:
    """And what lies behind it is told of."""
    one_chunk = b"%X\r\n%b\r\n" % (len(BODY), BODY) + b"0\r\n\r\n"
    async with desk() as at:
        course = at.course(reader(), Pipes(limit=0))
        sent = one_chunk if isinstance(at.reader, ChunkedBody) else BODY
        at.tool.send(sent)
        at.tool.send(b"next")
        assert await at.client.read_exactly(len(sent)) == sent
        assert at.moved > len(sent) // 2
        if isinstance(at.reader, UntilCloseBody):
            assert await at.client.read_exactly(4) == b"next"
        else:
            await until(lambda: at.behind == [b"next"] or at.late == b"next")
        course.close()
        at.tool.send(b"later")
        await until(lambda: at.late.endswith(b"later") or b"later" in at.client.received[-5:])


async def test_a_line_that_comes_in_two_reads_of_the_lent_buffer() -> None:
    async with desk() as at:
        course = at.course(ChunkedBody(lambda trailers: trailers))
        at.tool.send(b"%X\r\n%b\r\n" % (len(BODY), BODY))
        await at.client.read_exactly(len(b"%X\r\n%b\r\n" % (len(BODY), BODY)), 10)
        for part in (b"5", b"\r", b"\nabcde\r", b"\n0\r\nA: ", b"b\r\n\r\n"):
            at.tool.send(part)
            await turns()
        assert (
            await at.client.read_exactly(len(b"5\r\nabcde\r\n0\r\nA: b\r\n\r\n")) == b"5\r\nabcde\r\n0\r\nA: b\r\n\r\n"
        )
        assert (at.behind, at.faults) == ([b""], [])
        course.close()


async def test_a_malformed_body_in_the_lent_buffer_is_told_of() -> None:
    async with desk() as at:
        course = at.course(ChunkedBody(lambda trailers: trailers))
        at.tool.send(b"%X\r\n%b\r\n" % (len(BODY), BODY))
        await at.client.read_exactly(len(BODY), 10)
        at.tool.send(b"no size\r\n")
        await until(lambda: len(at.faults) == 1)
        course.close()


async def test_chunks_in_the_lent_buffer_are_read_in_turns() -> None:
    async with desk() as at:
        at.course(ChunkedBody(lambda trailers: trailers))
        at.tool.send(b"%X\r\n%b\r\n" % (len(BODY), BODY))
        await at.client.read_exactly(len(BODY), 10)
        at.tool.send(b"1\r\nx\r\n" * (2 * MAX_CHUNKS))
        await until(lambda: bool(at.again))
        assert at.again[0] == b"1\r\nx\r\n" * MAX_CHUNKS


async def test_r23_what_the_sink_was_sent_before_goes_before() -> None:
    async with desk() as at:
        course = at.course(LengthBody(1 + len(BODY)))
        at.client.transport.pause_reading()
        at.took(b"x")
        at.sink.own.write(ahead := os.urandom(16 * WORTH))
        at.tool.send(BODY)
        await turns()
        assert at.sink.full
        assert not course.holds
        at.client.transport.resume_reading()
        assert await at.client.read_exactly(1 + len(ahead) + len(BODY), 20) == b"x" + ahead + BODY
        assert await asyncio.wait_for(at.outcome, 10) is SpliceEnd.DONE
        assert at.moved == len(BODY)
        assert cast("Any", at.sink.own).get_write_buffer_limits()[1] == UNSENT


@pytest.mark.parametrize("way", ["full", "no pipes", "closing"])
async def test_an_end_before_it_could_be_moved(way: str) -> None:
    async with desk() as at:
        course = at.course(LengthBody(len(BODY)), Pipes(limit=0) if way == "no pipes" else None)
        at.client.transport.pause_reading()
        if way == "full":
            at.sink.own.write(BODY * 4)
        elif way == "closing":
            at.sink.own.close()
        course.goes_on(b"", 1)
        await turns()
        assert not course.holds
        course.close()
        assert cast("Any", at.sink.own).get_write_buffer_limits()[1] == UNSENT
        course.sink_is_free()
        assert not course.holds


async def test_what_is_costly_waits_for_its_turns() -> None:
    async with desk() as at:
        course = at.course(ChunkedBody(lambda trailers: trailers))
        at.took(b"1\r\nx\r\n" * (MAX_CHUNKS + 1))
        assert course.holds
        assert not at.source.own.is_reading()
        await turns()
        assert (at.again, course.holds) == ([b"1\r\nx\r\n"], False)
        assert at.source.own.is_reading()
        course.goes_on(b"rest", 4)
        course.flush()
        assert at.again[1:] == [b"rest"]
        course.goes_on(b"late", 4)
        course.close()
        await turns()
        assert at.again[2:] == []


class Tls(Wire):
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"ssl_object": self, "socket": self}.get(name, default)


class Secured(Tls):
    protocol: asyncio.BaseProtocol | None = None

    def is_reading(self) -> bool:
        return self.reading

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


@pytest.mark.parametrize(
    ("reader", "came", "lent"),
    [
        (LengthBody(WORTH), 1, True),
        (LengthBody(WORTH - 1), 1, False),
        (LengthBody(LARGE), LARGE_SEALED, True),
        (LengthBody(LARGE), LARGE_SEALED - 1, False),
        (LengthBody(LARGE - 1), LARGE_SEALED, False),
        (UntilCloseBody(), LARGE_SEALED, True),
        (UntilCloseBody(), LARGE_SEALED - 1, False),
    ],
)
async def test_a_large_body_under_tls_is_decrypted_into_the_lent_buffer(
    reader: BodyReader, came: int, lent: bool
) -> None:
    async with desk() as at:
        course, transport, own = at.course(reader), Secured(), at.source.own
        at.source.transport = transport
        course.goes_on(b"", came)
        await turns()
        assert isinstance(transport.protocol, Reading) is lent
        course.close()
        assert transport.protocol is (at.source if lent else None)
        at.source.transport = own


@pytest.mark.parametrize("gone", ["closing", "lost"])
async def test_a_source_that_is_gone_is_lent_nothing(gone: str) -> None:
    async with desk() as at:
        course, transport, own = at.course(LengthBody(len(BODY))), Secured(), at.source.own
        at.source.transport = transport
        course.goes_on(b"", 1)
        if gone == "lost":
            at.source.transport = None
        transport.close()
        await turns()
        course.goes_on(b"", LARGE)
        await turns()
        assert transport.protocol is None
        at.source.transport = own


async def test_r23_only_a_plain_socket_will_do() -> None:
    async with desk() as at:
        assert socket_of(at.source.own) is not None
        assert socket_of(Tls()) is None
        assert socket_of(None) is None
        at.source.own.close()
        assert socket_of(at.source.own) is None


async def test_only_a_body_of_known_length_has_a_rest() -> None:
    reader = LengthBody(5)
    reader.feed(b"ab")
    assert left_of(reader) == 3
    reader.skip(3)
    assert reader.done
    assert left_of(ChunkedBody(lambda trailers: trailers)) == 0
