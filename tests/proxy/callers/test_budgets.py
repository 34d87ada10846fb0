from __future__ import annotations

import pytest

from proxy.callers.budgets import MAX_ACCOUNTS, Budget

RATE, SECONDS, OVERALL = 2.0, 10.0, 3
BURST = int(RATE * SECONDS)


@pytest.fixture
def budget() -> Budget:
    return Budget(RATE, SECONDS, OVERALL)


def spend(budget: Budget, account: str, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        budget.spend(account, now)


def test_an_account_has_a_burst_and_then_the_rate(budget: Budget) -> None:
    spend(budget, "a", BURST - 1)
    assert budget.wait("a", 0.0) == 0.0
    spend(budget, "a", 1)
    assert 0.0 < budget.wait("a", 0.0) < 0.001
    assert budget.wait("a", 1 / RATE) == 0.0
    spend(budget, "a", 3)
    assert budget.wait("a", 0.0) == pytest.approx(3 / RATE, abs=0.001)
    assert budget.wait("b", 0.0) == 0.0


def test_a_debt_is_a_burst_at_most(budget: Budget) -> None:
    spend(budget, "a", 100 * BURST)
    assert budget.wait("a", 0.0) == pytest.approx(SECONDS, abs=0.001)
    assert budget.full_at("a") == 2 * SECONDS


def test_all_together_have_a_burst_of_some_of_them(budget: Budget) -> None:
    for number in range(OVERALL * BURST):
        assert budget.wait_of_all(0.0) == 0.0
        budget.spend(str(number), 0.0)
    assert budget.wait_of_all(0.0)
    assert budget.wait("another", 0.0) == 0.0
    assert budget.wait_of_all(0.5) == 0.0


def test_without_a_rate_nothing_is_counted() -> None:
    budget = Budget(0.0, SECONDS, OVERALL)
    spend(budget, "a", 10_000)
    assert (budget.wait("a", 0.0), budget.wait_of_all(0.0), len(budget)) == (0.0, 0.0, 0)


def test_memory_is_bounded(budget: Budget) -> None:
    for number in range(2 * MAX_ACCOUNTS):
        budget.spend(str(number), float(number))
    assert len(budget) == MAX_ACCOUNTS


def test_the_account_of_all_is_never_forgotten(budget: Budget) -> None:
    for number in range(2 * MAX_ACCOUNTS):
        budget.spend(str(number), 0.0)
    assert budget.wait_of_all(0.0)
