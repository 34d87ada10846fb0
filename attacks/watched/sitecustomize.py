"""Measures the pieces that a process's event loop runs. Python imports this where PYTHONPATH names its folder.

The product knows nothing of it. What the loop calls is timed from outside: the methods of each protocol class, and what
is scheduled (callbacks, timers, steps of tasks). For each process there is a file in the folder WATCHED, which it maps:
the longest piece, the longest round of the loop, both in seconds of the thread's CPU, and the piece's name.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import struct
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

WATCHED = "ATTACKS_WATCHED"
LAYOUT = struct.Struct("dd240s")
# Between two beats lies one round of the loop at least, so their CPU is that of no piece, but of no less than one.
BEAT = 0.005
CALLED = (
    "connection_made", "connection_lost", "data_received", "eof_received",
    "get_buffer", "buffer_updated", "pause_writing", "resume_writing",
)  # fmt: skip
# Ways to schedule something, and the place of the callback among their arguments.
SCHEDULED = {"call_soon": 0, "call_soon_threadsafe": 0, "call_later": 1, "call_at": 1, "add_reader": 1, "add_writer": 1}


class Stopwatch:
    """Times what the loop calls; within a piece another one counts for nothing of its own."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._within = False
        self._beat = 0.0

    def run(self, function: Callable[..., Any], *given: Any, **named: Any) -> Any:
        """Call it, with a look at the clock before and behind it."""
        if self._within:
            return function(*given, **named)
        self._within, begun = True, time.thread_time()
        try:
            return function(*given, **named)
        finally:
            self._within = False
            self._note(time.thread_time() - begun, function)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A callback that is run so. Not a closure: some hundred thousand of them are made."""
        return partial(self.run, function)

    def method(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A method that is run so."""

        def piece(*given: Any, **named: Any) -> Any:
            return self.run(function, *given, **named)

        return piece

    def beat(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the CPU of this thread since the last beat, and come again."""
        now = time.thread_time()
        if self._beat:
            # Read again each time: who measures begins with zero.
            longest, rounds, name = LAYOUT.unpack_from(self._memory)
            LAYOUT.pack_into(self._memory, 0, longest, max(rounds, now - self._beat), name)
        self._beat = now
        loop.call_later(BEAT, self.beat, loop)

    def _note(self, took: float, function: Callable[..., Any]) -> None:
        if took > struct.unpack_from("d", self._memory)[0]:
            rounds = struct.unpack_from("d", self._memory, 8)[0]
            LAYOUT.pack_into(self._memory, 0, took, rounds, name_of(function).encode("ascii", "replace")[:240])


def name_of(function: Callable[..., Any]) -> str:
    """What a person finds in the code: of a task's step its coroutine, of a method its class."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, asyncio.Task):
        coroutine = owner.get_coro()
        return getattr(coroutine, "__qualname__", repr(coroutine))
    return getattr(function, "__qualname__", None) or type(function).__name__


def scheduling(watch: Stopwatch, name: str, place: int) -> Callable[..., Any]:
    """uvloop's own way to schedule something, whose argument number `place` is a callback: that is timed."""
    own = getattr(uvloop.Loop, name)

    def scheduled(loop: uvloop.Loop, *given: Any, **named: Any) -> Any:
        return own(loop, *given[:place], watch.timed(given[place]), *given[place + 1 :], **named)

    return scheduled


def timed_loop(watch: Stopwatch) -> type[uvloop.Loop]:
    """uvloop's loop, which times what it is asked to call; all else is as it was."""
    made = {name: scheduling(watch, name, place) for name, place in SCHEDULED.items()}
    return type("TimedLoop", (uvloop.Loop,), made)


def watch_protocols(watch: Stopwatch) -> None:
    """Time the methods of each protocol class that is defined from now on."""

    def defined(cls: type[asyncio.BaseProtocol], /, **named: Any) -> None:
        for name in CALLED:
            if callable(method := cls.__dict__.get(name)):
                setattr(cls, name, watch.method(method))

    asyncio.BaseProtocol.__init_subclass__ = classmethod(defined)  # type: ignore[assignment]


def install(folder: Path) -> None:
    """From now on, each loop that uvloop makes in this process is timed."""
    path = folder / str(os.getpid())
    path.write_bytes(bytes(LAYOUT.size))
    with path.open("r+b") as file:
        watch = Stopwatch(mmap.mmap(file.fileno(), LAYOUT.size))
    watch_protocols(watch)
    timed = timed_loop(watch)

    def new_event_loop() -> uvloop.Loop:
        loop = timed()
        loop.call_soon(watch.beat, loop)
        return loop

    uvloop.new_event_loop = new_event_loop


if WATCHED in os.environ:
    install(Path(os.environ[WATCHED]))
