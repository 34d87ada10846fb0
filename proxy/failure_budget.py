"""How many refused tokens one client may cause questions about: a flood of them must not use up the API server."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

BURST_SECONDS = 10.0
"""A client may save up the failures of so many seconds: a rollout with a wrong token fails many times at once."""
OVERALL = 10
"""All clients together may fail as often as so many of them: a flood can come from many addresses."""
MAX_CLIENTS = 4096
"""Clients that are remembered; the one that failed longest ago goes first."""
_EVERYBODY = "*"
"""No address, known or not."""


class _Account(NamedTuple):
    """Failures that are left, at a monotonic time in seconds. Less than nothing where many came at once."""

    left: float
    at: float


class FailureBudget:
    """A token bucket for each client address, and one for all. `rate`: failures a second of one address; 0: no limit.

    Failures alone are counted, so that no number of callers with good tokens is ever too many. A client of which
    failures are left may ask; what turns out a failure is taken off afterwards, and may leave a debt of one burst.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def allows(self, client: str, now: float) -> bool:
        """Whether a question about an unknown token of this client's may be asked at the monotonic time `now`."""
        return self._rate <= 0 or all(self._left(account, now) > 0 for account in (client, _EVERYBODY))

    def failed(self, client: str, now: float) -> None:
        """A question of this client's had "no" for an answer."""
        if self._rate <= 0:
            return
        for account in (client, _EVERYBODY):
            left = max(self._left(account, now) - 1, -self._burst(account))
            self._accounts[account] = _Account(left, now)
            self._accounts.move_to_end(account)
        while len(self._accounts) > MAX_CLIENTS:
            self._accounts.popitem(last=False)

    def _left(self, account: str, now: float) -> float:
        known = self._accounts.get(account)
        burst = self._burst(account)
        return burst if known is None else min(burst, known.left + (now - known.at) * burst / BURST_SECONDS)

    def _burst(self, account: str) -> float:
        return self._rate * BURST_SECONDS * (OVERALL if account == _EVERYBODY else 1)
