"""Each promise that an outcome breaks is named; what keeps them all is not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from attacks.judge import (
    MORE_CONNECTIONS,
    MORE_FILES,
    MORE_RESIDENT,
    PIECE,
    RESIDENT,
    SLOW,
    by_piece_alone,
    faults,
    settled,
)
from attacks.outcome import Answers, Outcome, Pieces, State

BEFORE = State(60.0, 26, 0, 0)
GOOD = Outcome(
    "attack",
    done="4,000 connections",
    during=Answers(100, p50=2.0, p99=SLOW, slowest=900.0),
    after=Answers(20, p99=3.0),
    pieces=Pieces(PIECE, "Relay.data_received", 200.0),
    peak=RESIDENT,
    before_state=BEFORE,
    after_state=BEFORE,
    settled=4.9,
    idle=True,
)


def but(**changed: Any) -> Outcome:
    return msgspec.structs.replace(GOOD, **changed)


def test_what_keeps_every_promise_has_no_fault() -> None:
    assert faults(GOOD) == []
    assert not by_piece_alone(GOOD)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (but(during=Answers(100, {"new connection: 429": 1})), "1 of the other tenant's 100 requests failed during"),
        (but(after=Answers(20, {"/livez: TimeoutError": 2})), "2 x /livez: TimeoutError"),
        (but(during=Answers(0)), "had no request during"),
        (but(after=Answers(0)), "had no request behind"),
        (but(during=Answers(100, p99=SLOW + 1)), "p99"),
        (but(after=Answers(20, p99=SLOW + 1)), "p99"),
        (but(pieces=Pieces(PIECE + 1, "Relay.data_received")), "Relay.data_received took 51 ms"),
        (but(peak=RESIDENT + 1), "385 MiB"),
        (but(settled=None), "not all was as before"),
        (but(faults=["the tool saw it"]), "the tool saw it"),
    ],
)
def test_each_broken_promise_is_named(outcome: Outcome, said: str) -> None:
    (fault,) = faults(outcome)
    assert said in fault


def test_a_busy_machine_may_be_slow_and_nothing_else() -> None:
    slow = Answers(100, p99=10 * SLOW)
    assert faults(but(during=slow, after=slow, idle=False)) == []
    assert len(faults(but(during=Answers(100, {"x": 1}), idle=False, peak=RESIDENT + 1))) == 2


def test_what_was_skipped_breaks_nothing_and_what_was_not_played_does() -> None:
    assert faults(Outcome("attack", skipped="needs root")) == []
    assert faults(Outcome("attack", faults=["it was not begun: x"])) == ["it was not begun: x"]
    assert faults(Outcome("attack")) == ["it was not played"]


def test_an_attack_is_played_again_for_its_longest_piece_alone() -> None:
    long = Pieces(PIECE + 1, "x")
    assert by_piece_alone(but(pieces=long))
    assert not by_piece_alone(but(pieces=long, peak=RESIDENT + 1))
    assert not by_piece_alone(but(peak=RESIDENT + 1))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEFORE, True),
        (State(60.0 + MORE_RESIDENT, 26 + MORE_FILES, MORE_CONNECTIONS, 1), True),
        (State(61.0 + MORE_RESIDENT, 26, 0, 0), False),
        (State(60.0, 27 + MORE_FILES, 0, 0), False),
        (State(60.0, 26, MORE_CONNECTIONS + 1, 0), False),
        (State(60.0, 26, 0, 2), False),
    ],
)
def test_as_before(now: State, expected: bool) -> None:
    assert settled(BEFORE, now) is expected
