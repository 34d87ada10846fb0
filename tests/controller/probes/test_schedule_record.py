from __future__ import annotations

from connectors.objects.reasons import ConditionReason
from controller.probes.asks import asks_of
from controller.probes.outcome import LATE, PASSED, RETELL, Probed, Purpose, failed
from controller.probes.request import Ask
from controller.probes.schedule import ProbeRecord
from tests.controller.probes.subjects import http, judgement, probing_class

L, A = Purpose.LIVENESS, Purpose.AUTH
WELL = Probed(PASSED, "t1")
BAD = Probed(failed(ConditionReason.CONNECTION_FAILED, "refused"), "t2")


def record(*purposes: Purpose) -> ProbeRecord:
    subject = judgement(probing_class(http("/live"), http("/auth")))
    asks = asks_of(subject, None)
    found = ProbeRecord(subject, ("inputs",))
    for purpose, ask in ((L, asks.liveness), (A, asks.auth)):
        if purpose in purposes and isinstance(ask, Ask):
            found.asks[purpose] = ask
    return found


def test_one_word_for_all_first_outcomes_then_only_for_what_is_new_or_old() -> None:
    it = record(L, A)
    assert it.fresh
    assert not it.find(L, WELL, 10)
    assert it.find(A, WELL, 11)
    assert not it.fresh
    assert not it.find(A, Probed(PASSED, "t5"), 12)
    assert it.probes.auth == Probed(PASSED, "t5")
    assert it.find(L, BAD, 13)
    assert not it.find(L, BAD, 13 + RETELL - 1)
    assert it.find(L, BAD, 13 + RETELL)


def test_failures_in_a_row() -> None:
    it = record(L)
    assert [it.failed(L, outcome) for outcome in (BAD.outcome, BAD.outcome, PASSED, BAD.outcome)] == [1, 2, 0, 1]


def test_what_stands_in_line_for_too_long_says_nothing_good() -> None:
    it = record(L, A)
    it.find(L, WELL, 10)
    it.find(A, BAD, 10)
    assert (it.wait(L, 20), it.wait(L, 50)) == (0, 30)
    assert it.give_up(L)
    assert not it.give_up(L), "it is no news"
    assert not it.give_up(A), "a failure stays one"
    assert (it.probes.liveness, it.probes.auth, it.probes.pending) == (None, BAD, LATE)
    assert it.complete
    assert it.find(L, WELL, 60), "its answer is news again"
    assert it.probes.liveness == WELL
    assert it.wait(L, 70) == 0


def test_what_was_never_probed_and_is_late_keeps_nobody_waiting() -> None:
    it = record(L, A)
    it.find(A, WELL, 10)
    assert not it.complete
    assert it.give_up(L)
    assert it.complete
    assert not it.fresh


def test_what_is_known_of_the_same_inputs_stays_known() -> None:
    before, after = record(L), record(L)
    before.find(L, WELL, 10)
    before.failed(L, BAD.outcome)
    before.wait(L, 20)
    before.give_up(L)
    after.keep(L, before)
    assert (after.found, after.failures, after.in_line, after.late) == ({L: WELL}, {L: 1}, {L: 20}, {L})
