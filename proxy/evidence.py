"""The API server's answers that a decision on a caller rests on: while each of them counts, it may be used again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Generic, TypeVar

V = TypeVar("V")


class Answer(Generic[V]):
    """What was answered at the monotonic time `at`, in seconds, about a token that ends at `ends` of the wall clock.

    `value` None is the answer no. `kept`: it is still the newest answer to its question, and remembered.
    """

    __slots__ = ("at", "ends", "kept", "value")

    def __init__(self, value: V | None, at: float, ends: float | None) -> None:
        self.value = value
        self.at = at
        self.ends = ends
        self.kept = True


class Evidence:
    """Gathers answers while a request is decided on. `lasting`: the decision rests on nothing but those gathered.

    What was stale, limited, missing or has just been asked for makes it not so: such a decision is for one request.
    """

    __slots__ = ("_answers", "_ends", "_monotonic", "_until", "_wall", "lasting")

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        """`monotonic` and `wall` tell the time by the two clocks, in seconds; `wall` since the epoch."""
        self._monotonic = monotonic
        self._wall = wall
        self._answers: list[tuple[Answer[Any], Counter[Any], Any]] = []
        self._until = float("inf")
        self._ends = float("inf")
        self.lasting = True

    def rests_on(self, answer: Answer[Any], until: float, counted: tuple[Counter[Any], Any]) -> None:
        """`answer` counts before the monotonic time `until`; `counted` is where its use is, and under which name."""
        self._answers.append((answer, *counted))
        self._until = min(self._until, until)
        if answer.ends is not None:
            self._ends = min(self._ends, answer.ends)

    def holds(self) -> bool:
        """Whether every answer still counts: none too old, replaced or forgotten, and no token ended."""
        if not self._answers or self._monotonic() >= self._until:
            return False
        if self._ends != float("inf") and self._wall() >= self._ends:
            return False
        # Not all(...): a generator costs more than the look.
        for answer, _, _ in self._answers:  # noqa: SIM110
            if not answer.kept:
                return False
        return True

    def count(self) -> None:
        """The decision was used again: each answer was, as if it had been looked up."""
        for _, counter, name in self._answers:
            counter[name] += 1
