from __future__ import annotations

import pytest

from controller.probes.settings import PROBE_INTERVAL, parse_interval


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("0s", 0), ("1s", 1), ("1500ms", 1.5), ("5m", 300)])
def test_intervals(text: str, seconds: float) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["1ms", "999ms", "0.5", "-1s", "off", ""])
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_interval(text)


def test_the_default_is_the_contracts() -> None:
    assert PROBE_INTERVAL.parse(PROBE_INTERVAL.default) == 60
