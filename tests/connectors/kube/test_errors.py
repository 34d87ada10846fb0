from __future__ import annotations

import pickle

import pytest

from connectors.kube.errors import LONGEST_WAIT, ConflictError, KubeError, SilentError, UnavailableError


def test_an_error_says_what_the_server_said() -> None:
    error = ConflictError(409, "Conflict", "another version")
    assert isinstance(error, KubeError)
    assert (str(error), error.code, error.reason) == ("another version", 409, "Conflict")


def test_a_time_is_known_only_where_the_server_named_one() -> None:
    assert UnavailableError("away").retry_after is None
    assert UnavailableError("busy", 3.0).retry_after == 3.0
    assert pickle.loads(pickle.dumps(UnavailableError("away"))).args == ("away",)  # noqa: S301 - our own bytes


@pytest.mark.parametrize(("named", "seconds"), [(None, 0.0), (0.0, 0.0), (5.0, 5.0), (86_400.0, LONGEST_WAIT)])
def test_no_server_makes_anybody_wait_for_long(named: float | None, seconds: float) -> None:
    assert (UnavailableError("busy", named).retry_after or 0.0) == seconds


def test_silence_is_to_be_tried_again() -> None:
    assert isinstance(SilentError("nothing came"), UnavailableError)
