from __future__ import annotations

from connectors.process.backoff import Backoff


def test_bounds_double_up_to_the_cap_and_begin_anew_after_success() -> None:
    backoff = Backoff(0.2, 1.0, lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.reset()
    assert backoff.next() == 0.2


def test_jitter_is_full() -> None:
    chances = iter([0.0, 0.5, 1.0])
    backoff = Backoff(1.0, 1.0, lambda: next(chances))
    assert [backoff.next() for _ in range(3)] == [0.0, 0.5, 1.0]
