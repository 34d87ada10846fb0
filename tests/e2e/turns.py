"""How long a piece of work holds the event loop, in CPU time, and inputs as large as the limits allow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from hypothesis import strategies as st

BUDGET = 0.050
"""Seconds of CPU that one turn of the loop may take."""
_TRIES = 4
_MORE_TRIES = 40
_PAUSE = 0.25
"""Seconds between these: two processes on one core's two threads take twice the CPU time, until one of them waits."""


def cpu_seconds(work: Callable[[], object], *refusals: type[Exception], enough: float = BUDGET) -> float:
    """CPU time of this thread, the least of some tries: what another process does meanwhile does not count.

    With less than `enough` there are no more of them.
    """

    def once() -> float:
        begun = time.thread_time()
        with suppress(*refusals):
            work()
        return time.thread_time() - begun

    return _least(once, enough)


def longest_piece(work: Callable[[], object], *refusals: type[Exception]) -> float:
    """CPU time of the longest piece of `work` in which no other thread of the process could run: a call into C."""
    longest = last = 0.0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal longest, last
        now = time.thread_time()
        longest, last = max(longest, now - last), time.thread_time()

    def once() -> float:
        nonlocal longest, last
        longest, last = 0.0, time.thread_time()
        before = sys.getprofile()
        sys.setprofile(note)
        try:
            with suppress(*refusals):
                work()
        finally:
            sys.setprofile(before)
        return longest

    return _least(once, BUDGET)


def _least(once: Callable[[], float], enough: float) -> float:
    least = float("inf")
    for _ in range(_TRIES):
        least = min(least, once())
        if least < enough / 2:
            return least
    for _ in range(_MORE_TRIES):
        if least < enough:
            break
        time.sleep(_PAUSE)
        least = min(least, once())
    return least


def repeated(atoms: Sequence[bytes], most: int) -> st.SearchStrategy[bytes]:
    """A begin, and behind it a unit of some atoms, again and again up to `most` bytes; now and then another end."""
    some = st.lists(st.sampled_from(atoms), max_size=4).map(b"".join)
    unit = st.lists(st.sampled_from(atoms), min_size=1, max_size=4).map(b"".join)
    return st.builds(lambda begin, unit, end: filled(begin, unit, most, end), some, unit, some)


def atoms(words: str, *others: bytes) -> list[bytes]:
    """The words, white space, and these."""
    return [*words.encode().split(), b" ", b"\t", b"\n", *others]


def filled(begin: bytes, unit: bytes, most: int, end: bytes = b"") -> bytes:
    """`begin`, `end`, and between them as many units as there is room for."""
    return begin + unit * max(0, (most - len(begin) - len(end)) // max(1, len(unit))) + end
