"""One body on its way from one side to the other, if it does not come in one read.

What is read is passed on at once. What is costly to read waits for its turns (`Postponed`); what is large, plain
and of a known length is moved by the kernel (proxy/splice.py), and what is large otherwise, under TLS too, passes
through one buffer that all share (proxy/buffers.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol, cast

from connectors.http.body import BodyReader, LengthBody
from connectors.http.message import MessageError
from proxy.buffers import PIECE, UNSENT, Lender, Reading, exchange_protocol, write_now
from proxy.sockets import room_of
from proxy.splice import POSSIBLE, WORTH, Duplicable, Pipes, Splice, SpliceEnd, Tell


class Postponed:
    """The rest of what has arrived on one side. True while there is some: until then nothing more is read.

    A body of tiny chunks costs microseconds a byte, and the event loop reads megabytes from one connection in a turn.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, go_on: Callable[[bytes], None], changed: Callable[[], None]
    ) -> None:
        """`go_on` takes the bytes in a later turn; `changed` hears that there are some now, or none any more."""
        self._loop = loop
        self._go_on = go_on
        self._changed = changed
        self._data = b""

    def __bool__(self) -> bool:
        return bool(self._data)

    def put(self, data: bytes) -> None:
        """Keep `data` for the next turn."""
        self._data += data
        self._changed()
        self._loop.call_soon(self._turn)

    def flush(self) -> None:
        """Go on at once until nothing is left: there will be no later turn."""
        while self._data:
            self._turn()

    def drop(self) -> None:
        """Forget it."""
        self._data = b""

    def _turn(self) -> None:
        data, self._data = self._data, b""
        if data:
            self._go_on(data)
            self._changed()


# Bytes of a known length that are worth a change of protocol. Of an unknown one, a read of a whole PIECE shows that
# there may be as many.
LARGE = 64 * 1024
# Those of one read under TLS: it gives less than a PIECE at once, and fewer where its records come one by one.
LARGE_SEALED = 12 * 1024


@dataclass(frozen=True, slots=True)
class Means:
    """What all bodies of a proxy share."""

    pipes: Pipes = field(default_factory=Pipes)
    lender: Lender = field(default_factory=Lender)


class Side(Protocol):
    """The client's connection or the tool's."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once it is gone."""
        ...


class Reports(NamedTuple):
    """The callbacks of a body on its way.

    `again` takes bytes whose turn has come; `changed` hears that `holds` is another now; `moved` of bytes that have
    reached the other side by themselves; `moving_over` of the end of that, where the kernel moved them. Where they
    passed through the lent buffer, `through` takes what lies behind the body, and `broken` hears that it is malformed.
    """

    again: Callable[[bytes], None]
    changed: Callable[[], None]
    moved: Callable[[int], None]
    moving_over: Callable[[SpliceEnd], None]
    through: Callable[[bytes], None]
    broken: Callable[[MessageError], None]


class Way(Enum):
    """How a body passes now."""

    # It is read and written, until more is worth it.
    READ = auto()
    # From a later turn on, when what was read is written, it is to pass otherwise.
    ASKED = auto()
    # It is to be moved when the sink has taken everything; nothing is read until then.
    EMPTYING = auto()
    # By the kernel.
    MOVED = auto()
    # Through the lent buffer.
    LENT = auto()
    # It is read and written to its end.
    READ_ONLY = auto()
    # Nothing more of it can pass: one of the sides is gone, and its connection will say so.
    STOPPED = auto()
    OVER = auto()


_NOT_READ = (Way.MOVED, Way.STOPPED)


class Course:
    """A body on its way from `source` to `sink`, read by `reader`."""

    __slots__ = ("_loop", "_means", "_postponed", "_reader", "_reports", "_sink", "_source", "_splice", "_way")

    def __init__(self, means: Means, reader: BodyReader, source: Side, sink: Side, reports: Reports) -> None:
        self._loop = asyncio.get_running_loop()
        self._means = means
        self._reader = reader
        self._source, self._sink = source, sink
        self._reports = reports
        self._postponed: Postponed | None = None
        self._splice: Splice | None = None
        self._way = Way.READ

    @property
    def holds(self) -> bool:
        """Whether nothing is to be read from the source: what has come waits, or the kernel moves it."""
        return self._way in _NOT_READ or bool(self._postponed)

    @property
    def blocked(self) -> bool:
        """Whether the kernel moves it, and the sink takes nothing."""
        return self._splice is not None and self._splice.blocked

    def goes_on(self, rest: bytes, came: int) -> None:
        """`came` bytes have come and were passed on, all but `rest`, and the body has not ended."""
        if rest:
            if self._postponed is None:
                self._postponed = Postponed(self._loop, self._reports.again, self._reports.changed)
            self._postponed.put(rest)
        elif self._way is Way.READ:
            self._consider(came)

    def _consider(self, came: int) -> None:
        source = self._source.transport
        if source is None or source.is_closing():
            self._way = Way.READ_ONLY
        elif self._worth_moving() or self._worth_lending(came):
            self._way = Way.ASKED
            # Behind this turn: uvloop sends at its end what was written in it.
            self._loop.call_soon(self._change)

    def flush(self) -> None:
        """The source is gone: pass on at once what waits for a later turn."""
        if self._postponed:
            self._postponed.flush()

    def sink_is_free(self) -> None:
        """The sink has taken everything that it was sent, or nearly so."""
        if self._way is Way.EMPTYING:
            self._way = Way.ASKED
            self._change()

    def close(self) -> None:
        """Stop, whatever of this body is still to come: the exchange is over."""
        if self._way is Way.EMPTYING and self._sink.transport is not None:
            self._sink.transport.set_write_buffer_limits(UNSENT)
        if self._way is Way.LENT and (source := self._source.transport) is not None:
            exchange_protocol(source, cast("asyncio.BaseProtocol", self._source))
        self._way = Way.OVER
        if self._postponed is not None:
            self._postponed.drop()
        if self._splice is not None:
            self._splice.close()
            self._splice = None

    def _worth_moving(self) -> bool:
        return POSSIBLE and left_of(self._reader) >= WORTH and self._sockets() is not None

    def _worth_lending(self, came: int) -> bool:
        if self._sealed:
            return left_of(self._reader) >= WORTH or (came >= LARGE_SEALED and self._goes_on_for(LARGE))
        return came >= PIECE and self._goes_on_for(LARGE)

    def _goes_on_for(self, count: int) -> bool:
        """Whether so many bytes are still to come, as far as can be known."""
        return not isinstance(self._reader, LengthBody) or self._reader.left >= count

    @property
    def _sealed(self) -> bool:
        """Whether it comes under TLS."""
        source = self._source.transport
        return source is not None and source.get_extra_info("ssl_object") is not None

    def _change(self) -> None:
        """Choose the fastest way for what is left, and take it now or as soon as possible."""
        if self._way is not Way.ASKED:
            return
        sockets = self._sockets()
        if sockets is None or not self._worth_moving():
            self._lend()
        elif self._sink_is_empty():
            self._begin(*sockets)

    def _sockets(self) -> tuple[Duplicable, Duplicable] | None:
        """Source and sink, where both are plain and still there."""
        source, sink = socket_of(self._source.transport), socket_of(self._sink.transport)
        return None if source is None or sink is None else (source, sink)

    def _sink_is_empty(self) -> bool:
        """Whether it has taken everything; where it has not, `sink_is_free` is called when it has."""
        sink = self._sink.transport
        if sink is None or not sink.get_write_buffer_size():
            return True
        self._way = Way.EMPTYING
        sink.set_write_buffer_limits(0)
        return False

    def _begin(self, source: Duplicable, sink: Duplicable) -> None:
        tell = Tell(self._moved, self._over)
        try:
            self._splice = Splice(self._means.pipes, source, sink, left_of(self._reader), tell)
            self._way = Way.MOVED
        except OSError:
            self._lend()
        if self._sink.transport is not None:
            self._sink.transport.set_write_buffer_limits(UNSENT)
        self._reports.changed()

    def _lend(self) -> None:
        source = self._source.transport
        if source is None or source.is_closing():
            self._way = Way.READ_ONLY
            return
        self._way = Way.LENT
        own = cast("asyncio.BaseProtocol", self._source)
        exchange_protocol(source, Reading(self._means.lender, own, self._take, self._room))

    def _take(self, count: int) -> bool:
        """Pass on so many bytes of the lent buffer; whether the sink has taken all of them. No view of it is left."""
        buffer, end = self._means.lender.buffer, Lender.AHEAD + count
        pending = self._reader.pending
        start = Lender.AHEAD - len(pending)
        buffer[start : Lender.AHEAD] = pending
        try:
            pieces, position = self._reader.take(buffer, start, end)
        except MessageError as error:
            self._reports.broken(error)
            return True
        sink, rest = self._sink.transport, bytes(buffer[position:end])
        taken = sink is None or write_now(sink, pieces)
        if sink is not None and not taken:
            self._means.lender.left(sink)
        self._reports.moved(sum(map(len, pieces)))
        if self._reader.done:
            self._reports.through(rest)
        elif rest:
            self.goes_on(rest, 0)
        return taken

    def _room(self) -> int:
        return room_of(self._sink.transport)

    def _moved(self, count: int) -> None:
        cast("LengthBody", self._reader).skip(count)
        self._reports.moved(count)

    def _over(self, outcome: SpliceEnd) -> None:
        self._splice = None
        self._way = Way.STOPPED if outcome in (SpliceEnd.SOURCE_LOST, SpliceEnd.SINK_LOST) else Way.READ_ONLY
        self._reports.moving_over(outcome)


def left_of(reader: BodyReader) -> int:
    """Bytes that are left of a body of known length; of any other 0."""
    return reader.left if isinstance(reader, LengthBody) else 0


def socket_of(transport: asyncio.Transport | None) -> Duplicable | None:
    """The socket on which the same bytes pass as on the transport; None if there is none, as under TLS."""
    if transport is None or transport.is_closing() or transport.get_extra_info("ssl_object") is not None:
        return None
    return cast("Duplicable | None", transport.get_extra_info("socket"))
