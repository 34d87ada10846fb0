from __future__ import annotations

import pytest

from connectors.process.distribution import AT_ONCE, Distribution


def test_counts_add_up() -> None:
    distribution = Distribution((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 1.0, 7.0):
        distribution.observe(seconds)
    assert distribution.cumulative() == [("0.1", 2.0), ("1.0", 4.0), ("+Inf", 5.0)]
    assert distribution.total == pytest.approx(8.65)
    assert Distribution(()).cumulative() == [("+Inf", 0.0)]


def test_counts_do_not_depend_on_when_they_are_counted() -> None:
    distribution, observed = Distribution((0.1, 1.0)), 0
    for _ in range(2 * AT_ONCE + 3):
        for seconds in (0.05, 0.5, 7.0):
            distribution.observe(seconds)
            observed += 1
    assert distribution.cumulative()[-1] == ("+Inf", float(observed))
    assert distribution.cumulative() == [("0.1", observed / 3), ("1.0", observed * 2 / 3), ("+Inf", float(observed))]
    assert distribution.total == pytest.approx(observed / 3 * 7.55)
