from __future__ import annotations

import msgspec
import pytest

from bench.regression import RECORDED, Recorded, check
from bench.scenarios import SCENARIOS

KNOWN = Recorded("small-32", 0.8, "abc")


@pytest.mark.parametrize(
    ("ratios", "good"),
    [
        ([0.8], True),
        ([0.57], True),
        ([0.55, 0.57], True),
        ([0.55, 0.55], False),
        ([0.1, 0.0], False),
    ],
    ids=["as recorded", "at 71 %", "busy once", "slower", "much slower"],
)
def test_it_fails_where_it_is_too_low_twice_in_a_row(ratios: list[float], good: bool) -> None:
    said: list[str] = []
    left = iter(ratios)
    assert check(KNOWN, lambda: next(left), said.append) is good
    assert len(said) == len(ratios)
    assert next(left, None) is None
    assert "at least 0.560" in said[0]


def test_what_is_recorded_is_of_a_scenario_that_is_measured() -> None:
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=Recorded)
    assert recorded.scenario == SCENARIOS[0].key
    assert 0 < recorded.ratio < 2
