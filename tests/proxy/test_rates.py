from __future__ import annotations

import pytest

import proxy.rates
from connectors.objects.connector import ConnectorKey
from proxy.rates import Rates

TOOL, OTHER = ConnectorKey("team", "tool"), ConnectorKey("team", "other")
ME, YOU = (TOOL, "me"), (TOOL, "you")


def taken(rates: Rates, rate: int, now: float) -> int:
    """How many requests pass at once."""
    return sum(rates.take(ME, rate, now) for _ in range(2 * rate + 2))


@pytest.mark.parametrize("rate", [1, 3, 7, 100, 1000])
def test_t33_those_of_one_second_may_come_at_once_and_then_one_after_the_other(rate: int) -> None:
    rates = Rates()
    assert taken(rates, rate, 100.0) == rate
    assert taken(rates, rate, 100.0 + 0.9 / rate) == 0
    assert taken(rates, rate, 100.0 + 1.1 / rate) == 1
    assert taken(rates, rate, 103.0) == rate, "no more are saved up"


def test_within_a_second_the_next_one_may_come_however_often_it_asked() -> None:
    rates = Rates()
    assert rates.take(ME, 1, 100.0)
    assert not any(rates.take(ME, 1, 100.0 + step / 1000) for step in range(999))
    assert rates.take(ME, 1, 101.0), "what Retry-After says"


def test_t33_callers_and_connectors_have_buckets_of_their_own() -> None:
    rates = Rates()
    assert all(rates.take(account, 1, 100.0) for account in (ME, YOU, (OTHER, "me")))
    assert not any(rates.take(account, 1, 100.0) for account in (ME, YOU, (OTHER, "me")))


def test_another_rate_counts_at_once() -> None:
    rates = Rates()
    assert taken(rates, 10, 100.0) == 10
    assert taken(rates, 1, 100.5) == 0
    assert taken(rates, 10, 101.0) == 10


def test_t33_who_asks_no_more_is_forgotten() -> None:
    rates = Rates()
    for number in range(1000):
        assert rates.take((TOOL, str(number)), 1, 100.0)
    for number in range(1000):
        assert rates.take(ME, 1000, 102.0 + number / 100)
    assert len(rates) == 1


def test_t33_there_is_an_end_to_those_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy.rates, "MAX_ACCOUNTS", 10)
    rates = Rates()
    for number in range(100):
        assert rates.take((TOOL, str(number)), 1, 100.0)
        assert len(rates) <= 10
    assert not rates.take((TOOL, "99"), 1, 100.0)
