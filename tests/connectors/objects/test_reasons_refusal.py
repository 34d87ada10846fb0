from __future__ import annotations

from http import HTTPStatus

from connectors.objects.reasons import Reason, Refusal, RefusedError


def test_a_refusal_has_the_status_of_its_reason() -> None:
    assert Refusal(Reason.LOOP_DETECTED, "x").status is HTTPStatus.LOOP_DETECTED


def test_the_error_carries_it_and_prints_the_reason_only() -> None:
    refusal = Refusal(Reason.FORBIDDEN, "a longer sentence")
    error = RefusedError(refusal)
    assert error.refusal is refusal
    assert str(error) == "Forbidden"
