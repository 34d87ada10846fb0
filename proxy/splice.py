"""A body moved by the kernel, from one socket through a pipe to another: no byte of it passes through this process.

splice(2) moves references to the pages that a socket has received. It takes what it is asked for and not a byte more,
so what lies behind the body stays in the socket, for the parser.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

# Linux alone has both.
POSSIBLE: Final = hasattr(os, "splice") and hasattr(fcntl, "F_SETPIPE_SZ")
# Bytes from which a body is moved so: the set-up costs about as much as copying 200 KiB.
WORTH: Final = 1024 * 1024
# Bytes asked of the kernel for a pipe, and moved at once: never more of one body than this is under way.
PIPE: Final = 1024 * 1024
# A pipe's size without asking. A user who has too many pipes gets some of 4 KiB (pipe(7)): those are not worth it.
PIPE_AT_LEAST: Final = 64 * 1024
# Bodies moved so at once, four descriptors each; pipes of a user may hold 64 MiB by default (pipe-user-pages-soft).
MAX_PIPES: Final = 64


class SpliceState(Enum):
    """What a splice waits for."""

    # Bytes to come; the pipe is empty.
    SOURCE = auto()
    # Room for those in the pipe; none are taken in meanwhile.
    SINK = auto()
    OVER = auto()


class SpliceEnd(Enum):
    """How a splice has ended."""

    # The body is through, and nothing lies behind it yet.
    DONE = auto()
    # The body is through, and behind it are more bytes already, or the end of what comes.
    DONE_AND_MORE = auto()
    # The source has ended before its time, or failed; all that had come from it is through.
    SOURCE_LOST = auto()
    # The sink takes nothing any more.
    SINK_LOST = auto()
    # There is something that splice(2) does not take, as urgent data (RFC 9293 section 3.8.5); what came before is
    # through, and the rest of the body is to be read as usual.
    GIVEN_UP = auto()


class Tell(NamedTuple):
    """Who hears of it: `moved` of bytes that the sink's kernel has taken, `over` of the end, behind everything."""

    moved: Callable[[int], None]
    over: Callable[[SpliceEnd], None]


class Duplicable(Protocol):
    """A transport's socket, as asyncio and uvloop show it."""

    def dup(self) -> socket.socket:
        """Another descriptor of it."""
        ...


class Pipes:
    """How many pipes are in use: those of one proxy."""

    def __init__(self, limit: int = MAX_PIPES, at_least: int = PIPE_AT_LEAST) -> None:
        """`limit`: how many at once; `at_least`: bytes that one must hold."""
        self._left = limit
        self._at_least = at_least

    def take(self) -> tuple[int, int]:
        """The reading and the writing end of a new pipe.

        Raises:
            OSError: there are too many already, or the kernel gives none that is worth it.
        """
        if not self._left:
            raise OSError("too many bodies are moved by the kernel already")
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            size = fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE)
        except OSError:  # above a limit of the system, or of the user
            size = fcntl.fcntl(ends[1], fcntl.F_GETPIPE_SZ)
        if size < self._at_least:
            close_all(*ends)
            raise OSError("the kernel gives small pipes alone")
        self._left -= 1
        return ends

    def end(self, ends: tuple[int, int]) -> None:
        """Close a pipe with what is in it: the rest of one body must never get into another."""
        self._left += 1
        close_all(*ends)


class Splice:
    """Moves `left` bytes from one socket to another, and tells how it went; nothing of it is left open behind its end.

    Duplicates of both descriptors are watched: the loop does not let others watch those that a transport owns.
    """

    def __init__(self, pipes: Pipes, source: Duplicable, sink: Duplicable, left: int, tell: Tell) -> None:
        """Nothing may be on its way between the two any more, nor be read from `source` by others until it is over.

        Raises:
            OSError: the kernel gives no pipe or descriptors for it.
        """
        self._loop = asyncio.get_running_loop()
        self._pipes = pipes
        self._left = left
        self._inside = 0
        self._tell = tell
        with ExitStack() as undo:
            self._pipe = pipes.take()
            undo.callback(pipes.end, self._pipe)
            self._source = undo.enter_context(source.dup())
            self._sink = sink.dup()
            undo.pop_all()
        self._state = SpliceState.SOURCE
        self._loop.add_reader(self._source.fileno(), self._readable)

    @property
    def blocked(self) -> bool:
        """Whether the source waits for the sink."""
        return self._state is SpliceState.SINK

    def close(self) -> None:
        """Close everything at once: the kernel sends a reset only when no duplicate of the descriptor is open."""
        if self._state is SpliceState.OVER:
            return
        self._unwatch()
        self._state = SpliceState.OVER
        self._source.close()
        self._sink.close()
        self._pipes.end(self._pipe)

    def _readable(self) -> None:
        if self._fill():
            self._drain()
            self._go_on()
        elif self._state is SpliceState.SOURCE:
            # Something is there that cannot be taken: waiting for it again would go round in circles.
            self._end(SpliceEnd.GIVEN_UP)

    def _writable(self) -> None:
        # The source has had time to send more: looked at without waiting for it to be told.
        if self._drain() and self._fill():
            self._drain()
        self._go_on()

    def _fill(self) -> bool:
        """Take in what has come, at most what is left of the body; whether there was any."""
        try:
            count = os.splice(self._source.fileno(), self._pipe[1], min(self._left, PIPE), flags=_NOT_WAITING)
        except BlockingIOError:
            return False
        except OSError:
            count = 0
        if not count:
            self._end(SpliceEnd.SOURCE_LOST)
            return False
        self._inside = count
        return True

    def _drain(self) -> bool:
        """Pass on what is in the pipe; whether that was all, and the body goes on."""
        try:
            count = os.splice(self._pipe[0], self._sink.fileno(), self._inside, flags=_NOT_WAITING)
        except BlockingIOError:
            return False
        except OSError:
            self._end(SpliceEnd.SINK_LOST)
            return False
        self._inside -= count
        self._left -= count
        self._tell.moved(count)
        if not self._left:
            self._end(SpliceEnd.DONE_AND_MORE if self._more_behind() else SpliceEnd.DONE)
        return not self._inside and self._left > 0

    def _more_behind(self) -> bool:
        try:
            self._source.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _go_on(self) -> None:
        """The one place that decides which of the two is watched: at most one, if something is wanted of it."""
        state = SpliceState.SINK if self._inside else SpliceState.SOURCE
        if self._state in (state, SpliceState.OVER):
            return
        self._unwatch()
        self._state = state
        if state is SpliceState.SINK:
            self._loop.add_writer(self._sink.fileno(), self._writable)
        else:
            self._loop.add_reader(self._source.fileno(), self._readable)

    def _unwatch(self) -> None:
        if self._state is SpliceState.SOURCE:
            self._loop.remove_reader(self._source.fileno())
        else:
            self._loop.remove_writer(self._sink.fileno())

    def _end(self, outcome: SpliceEnd) -> None:
        self.close()
        self._tell.over(outcome)


_NOT_WAITING: Final = os.SPLICE_F_NONBLOCK if POSSIBLE else 0


def close_all(*descriptors: int) -> None:
    """Close these."""
    for descriptor in descriptors:
        os.close(descriptor)
