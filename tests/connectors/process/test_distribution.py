from __future__ import annotations

import pytest

from connectors.process.distribution import Distribution


def test_counts_add_up() -> None:
    distribution = Distribution((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 1.0, 7.0):
        distribution.observe(seconds)
    assert distribution.cumulative() == [("0.1", 2.0), ("1.0", 4.0), ("+Inf", 5.0)]
    assert distribution.total == pytest.approx(8.65)
    assert Distribution(()).cumulative() == [("+Inf", 0.0)]
