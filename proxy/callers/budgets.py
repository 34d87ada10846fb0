"""What each account, and all of them together, may spend. Pure: times are given, in seconds."""

from __future__ import annotations

from collections import OrderedDict

# Accounts that are remembered; the one that spent longest ago goes first.
MAX_ACCOUNTS = 4096
# Seconds: a sum of a hundred tenths may fall short of ten.
_ROUNDING = 1e-6


class Budget:
    """A token bucket for each account, and one for all, which holds as much as `overall` of them.

    Both are only asked whether something is left; what is spent is taken off afterwards, and may leave a debt of one
    full bucket. Together they say how much a flood costs, however many addresses it comes from.
    """

    def __init__(self, rate: float, seconds: float, overall: int) -> None:
        """`rate`: how much an account gets a second, saved up for so many `seconds`; 0: as much as it wants."""
        self.rate = rate
        self.seconds = seconds
        self.overall = overall
        # When the bucket of an account is full again: later by 1 / `rate` for each that it spends. So one number is
        # enough.
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._all_full_at = 0.0

    def __len__(self) -> int:
        """How many accounts are remembered."""
        return len(self._full_at)

    def full_at(self, account: str) -> float:
        """When the account has all of its budget again; a time that is past if it has it now."""
        return self._full_at.get(account, 0.0)

    def wait(self, account: str, now: float) -> float:
        """Seconds until something is left of the account's; 0 if it is now."""
        return self._until_left(self.full_at(account), now)

    def wait_of_all(self, now: float) -> float:
        """Seconds until something is left of what all have together; 0 if it is now."""
        return self._until_left(self._all_full_at, now)

    def spend(self, account: str, now: float) -> None:
        """Take one off, of the account's and of all."""
        if self.rate <= 0:
            return
        self._full_at[account] = self._later(self.full_at(account), now, self.rate)
        self._full_at.move_to_end(account)
        self._all_full_at = self._later(self._all_full_at, now, self.rate * self.overall)
        while len(self._full_at) > MAX_ACCOUNTS:
            self._full_at.popitem(last=False)

    def _until_left(self, full_at: float, now: float) -> float:
        # Without the rounding, the last of a burst would be one too many.
        left = full_at - now - self.seconds + _ROUNDING
        return max(left, _ROUNDING) if left >= 0.0 else 0.0

    def _later(self, full_at: float, now: float, rate: float) -> float:
        return min(max(full_at, now) + 1 / rate, now + 2 * self.seconds)
