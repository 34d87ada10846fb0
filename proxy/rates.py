"""How often one caller may use one Connector: token buckets. Pure: times are given, in seconds of a steady clock."""

from __future__ import annotations

from collections import OrderedDict

from connectors.objects.connector import ConnectorKey

# A Connector, and who asks for it: a user's name, or a client's address where callers prove nothing.
Account = tuple[ConnectorKey, str]

# Seconds whose requests a caller may send at once: a browser or a package manager asks for many things together. Not
# more, so that `Retry-After: 1` is always true: within a second the next request may come.
BURST_SECONDS = 1.0
# Accounts that are remembered. One whose last request is longer ago than BURST_SECONDS has all of its tokens, as one
# that is forgotten has, and no process passes so many requests within that time: what goes is missed by nobody.
MAX_ACCOUNTS = 65_536
# Seconds: a sum of a hundred hundredths may exceed one.
_ROUNDING = 1e-6


class Rates:
    """The buckets of all callers of a process."""

    def __init__(self) -> None:
        # When the bucket of an account is full again: later by 1 / rate for each request. So one number is enough.
        # Those used last are at the end.
        self._full_at: OrderedDict[Account, float] = OrderedDict()

    def __len__(self) -> int:
        """How many accounts are remembered."""
        return len(self._full_at)

    def take(self, account: Account, rate: int, now: float) -> bool:
        """Whether a request may pass at the monotonic time `now`, which takes a token then; `rate`: tokens a second.

        What is refused takes none: a client that asks again and again still has its rate.
        """
        full_at = max(self._full_at.get(account, now), now) + 1 / rate
        if full_at - now > BURST_SECONDS + _ROUNDING:
            return False
        self._full_at[account] = full_at
        self._full_at.move_to_end(account)
        self._forget(now)
        return True

    def _forget(self, now: float) -> None:
        """Two at most, so that no request pays for the end of a flood, and there are fewer after each."""
        for _ in range(2):
            oldest, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= MAX_ACCOUNTS:
                return
            del self._full_at[oldest]
