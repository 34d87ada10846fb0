from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from standalone.table import age, human

M, H, D, Y = 60, 3600, 86400, 365 * 86400
NOW = datetime(2024, 10, 16, 2, 27, 44, tzinfo=UTC)


# The expectations of k8s.io/apimachinery/pkg/util/duration, TestHumanDuration.
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (1, "1s"),
        (70, "70s"),
        (119, "119s"),
        (120, "2m"),
        (190, "3m10s"),
        (70 * M, "70m"),
        (47 * H, "47h"),
        (49 * H, "2d1h"),
        (3 * H, "3h"),
        (3 * H + M, "3h1m"),
        (8 * H, "8h"),
        (8 * H + 59 * M, "8h"),
        (7 * D + 23 * H, "7d23h"),
        (8 * D, "8d"),
        (8 * D + 23 * H, "8d"),
        (2 * Y - 1, "729d"),
        (2 * Y, "2y"),
        (2 * Y + D, "2y1d"),
        (8 * Y - 1, "7y364d"),
        (8 * Y, "8y"),
        (10 * Y + 364 * D, "10y"),
    ],
)
def test_human(seconds: int, expected: str) -> None:
    assert human(seconds) == expected


def test_age() -> None:
    assert age("2024-10-16T02:22:44Z", NOW) == "5m"


def test_a_clock_that_lags_shows_zero() -> None:
    assert age((NOW + timedelta(seconds=5)).isoformat(), NOW) == "0s"


@pytest.mark.parametrize("created", [None, "", "yesterday", "2024-10-16T02:22:44"])
def test_a_time_that_cannot_be_read(created: str | None) -> None:
    assert age(created, NOW) == "<unknown>"
