"""What the other tenant's client counts as a failure."""

from __future__ import annotations

import http.client

import pytest

from attacks.neighbour import Tally


def raises(error: Exception) -> int:
    raise error


def test_answers_and_failures_are_counted() -> None:
    tally = Tally()
    for _ in range(8):
        tally.one("kept connection", lambda: 200)
    tally.one("kept connection", lambda: 429)
    tally.one("new connection", lambda: raises(ConnectionResetError()))
    answers = tally.answers()
    assert (answers.requests, answers.failures) == (10, 2)
    assert answers.failed == {"kept connection: 429": 1, "new connection: ConnectionResetError": 1}
    assert 0 <= answers.p50 <= answers.p99 <= answers.slowest


@pytest.mark.parametrize("error", [TimeoutError(), http.client.RemoteDisconnected(""), http.client.BadStatusLine("x")])
def test_no_answer_is_a_failure(error: Exception) -> None:
    tally = Tally()
    tally.one("/livez", lambda: raises(error))
    assert tally.answers().failed == {f"/livez: {type(error).__name__}": 1}


def test_a_percentile_of_nothing() -> None:
    assert Tally().answers().p99 == 0.0
