from __future__ import annotations

from proxy.failure_budget import BURST_SECONDS, MAX_CLIENTS, OVERALL, FailureBudget

RATE = 2.0
BURST = int(RATE * BURST_SECONDS)


def spend(budget: FailureBudget, client: str, count: int, now: float = 0.0) -> None:
    for _ in range(count):
        budget.failed(client, now)


def test_a_burst_then_nothing_then_the_rate() -> None:
    budget = FailureBudget(RATE)
    spend(budget, "a", BURST - 1)
    assert budget.allows("a", 0.0)
    spend(budget, "a", 1)
    assert not budget.allows("a", 0.0)
    assert budget.allows("a", 1 / RATE)
    spend(budget, "a", 1, now=1 / RATE)
    assert not budget.allows("a", 1 / RATE)


def test_another_client_does_not_suffer() -> None:
    budget = FailureBudget(RATE)
    spend(budget, "a", BURST)
    assert budget.allows("b", 0.0)


def test_what_was_under_way_leaves_a_debt_of_one_burst_at_most() -> None:
    budget = FailureBudget(RATE)
    spend(budget, "a", 100 * BURST)
    assert not budget.allows("a", BURST_SECONDS)
    assert budget.allows("a", BURST_SECONDS + 0.1)


def test_nobody_saves_up_more_than_a_burst() -> None:
    budget = FailureBudget(RATE)
    spend(budget, "a", 1)
    spend(budget, "a", BURST, now=1e6)
    assert not budget.allows("a", 1e6)


def test_a_flood_from_many_addresses_is_one_flood() -> None:
    budget = FailureBudget(RATE)
    for number in range(OVERALL * BURST):
        assert budget.allows(f"client-{number}", 0.0)
        budget.failed(f"client-{number}", 0.0)
    assert not budget.allows("yet another", 0.0)
    assert budget.allows("yet another", 0.1)


def test_without_a_rate_nothing_is_counted() -> None:
    budget = FailureBudget(0)
    spend(budget, "a", 10_000)
    assert budget.allows("a", 0.0)


def test_memory_is_bounded() -> None:
    budget = FailureBudget(RATE)
    for number in range(2 * MAX_CLIENTS):
        budget.failed(str(number), float(number))
    assert len(budget._accounts) == MAX_CLIENTS


def test_the_account_of_all_is_never_forgotten() -> None:
    budget = FailureBudget(RATE)
    for number in range(2 * MAX_CLIENTS):
        budget.failed(str(number), 0.0)
    assert not budget.allows("yet another", 0.0)


def test_a_client_of_no_known_address_is_not_everybody() -> None:
    budget = FailureBudget(RATE)
    spend(budget, "", BURST)
    assert not budget.allows("", 0.0)
    assert budget.allows("a", 0.0)
