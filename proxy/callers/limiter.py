"""When the API server may be asked about a caller: so many questions at once, none while it is away, none for a flood.

Pure: times are given, in seconds of a clock that never steps.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable

from connectors.kube.errors import ForbiddenError, KubeError, UnauthorizedError, UnavailableError
from connectors.objects.reasons import Reason, Refusal, RefusedError

logger = logging.getLogger("connectors.identity")

# For callers who were let in before, and the same number for strangers: together they must leave some of this program's
# share of the API server, and strangers must not delay known callers.
QUESTIONS_AT_ONCE = 16
# Seconds without a question after one that was not answered: an outage makes no flood, and not every request waits.
OUTAGE_PAUSE = 1.0
# Seconds that a question may take if the last answer could serve as well: an API server that takes connections and
# never answers is as good as away, and must not cost each request the whole timeout.
SLOW_AFTER = 3.0
# Seconds after one that took longer, in which a caller who was let in before does not wait at all.
SLOW_FOR = 5.0

# A client may save up the failures of so many seconds: a rollout with a wrong token fails many times at once.
BURST_SECONDS = 10.0
# All clients together may fail as often as so many of them: a flood can come from many addresses.
OVERALL = 10
# Clients that are remembered; the one that failed longest ago goes first.
MAX_CLIENTS = 4096
# No address, known or not.
_EVERYBODY = "*"
# Seconds: a sum of a hundred tenths may fall short of ten.
_ROUNDING = 1e-6

# Whatever was asked: there is no answer, this program lacks a role, or its own token has ended. An API server that
# starts says the latter two as well, before it has read its roles.
_OF_ANY_QUESTION = (UnavailableError, ForbiddenError, UnauthorizedError)
_UNANSWERED = Refusal(
    Reason.AUTHENTICATION_UNAVAILABLE,
    "the API server cannot be asked now whose this token is and what it allows; send the request again later",
)
_TOO_MANY = Refusal(
    Reason.TOO_MANY_REQUESTS,
    "too many tokens from this address were refused; correct the token, then send the request again",
)


class UnansweredError(RefusedError):
    """No answer comes now. `away`: to any question, so that earlier answers may count; else only to this one."""

    def __init__(self, *, away: bool) -> None:
        # No 401: clients drop their stored login at one.
        super().__init__(_UNANSWERED)
        self.away = away


class TooManyFailuresError(RefusedError):
    """This client's tokens were refused too often; the API server was not asked."""

    def __init__(self) -> None:
        super().__init__(_TOO_MANY)


class Limiter:
    """One for all questions of a process; `known` are those about callers who were let in before.

    Failures are counted, by a token bucket for each client address and one for all: no number of callers with good
    tokens is ever too many. A client that has failures left may ask; what turns out a failure is taken off afterwards,
    and may leave a debt of one burst.
    """

    def __init__(self, rate: float, questions_at_once: int = QUESTIONS_AT_ONCE) -> None:
        """`rate`: failures a second of one address; 0: no limit."""
        self._rate = rate
        # When the bucket of an address is full again: later by 1 / `rate` for each failure. So one number is enough.
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._free = {True: questions_at_once, False: questions_at_once}
        self._waiting: dict[bool, deque[tuple[str, Callable[[RefusedError | None], None]]]]
        self._waiting = {True: deque(), False: deque()}
        # 0: the last question was answered.
        self._away_until = 0.0
        self._slow_until = 0.0

    def enter(self, client: str, tell: Callable[[RefusedError | None], None], now: float, *, known: bool) -> bool:
        """Whether a question of the client's may be asked now. If not, `tell` hears when it may (None), or why not.

        Raises:
            UnansweredError: the API server is away.
            TooManyFailuresError: the client has no failures left.
        """
        # Before it waits as well: otherwise any number of questions of a client without failures left could wait.
        self._require_hope(client, now, known=known)
        if self._free[known]:
            self._free[known] -= 1
            return True
        self._waiting[known].append((client, tell))
        return False

    def leave(self, now: float, *, known: bool) -> None:
        """A question that was asked is over, and its failure is counted: the next one may be asked."""
        self._free[known] += 1
        while self._waiting[known] and self._free[known]:
            client, tell = self._waiting[known].popleft()
            try:
                # Once more, in its turn: by now, others of its client may have failed.
                self._require_hope(client, now, known=known)
            except (UnansweredError, TooManyFailuresError) as error:
                tell(error)
            else:
                self._free[known] -= 1
                tell(None)

    def require_prompt(self, now: float) -> None:
        """Return if an answer may come within SLOW_AFTER.

        Raises:
            UnansweredError: the API server is away, or slow.
        """
        if now < max(self._away_until, self._slow_until):
            raise UnansweredError(away=True)

    def slow(self, now: float) -> UnansweredError:
        """A question has taken longer than SLOW_AFTER; returns the error for callers who do not wait any more."""
        self._slow_until = now + SLOW_FOR
        return UnansweredError(away=True)

    def unanswered(self, error: KubeError, now: float) -> UnansweredError:
        """A question got no answer; returns the error for those who wait for one."""
        if not isinstance(error, _OF_ANY_QUESTION):
            # It is about this question alone: others must not be kept waiting by what one caller has sent.
            logger.warning("the API server has no answer to a question about a caller: %s", error)
            return UnansweredError(away=False)
        if not self._away_until:
            logger.warning("the API server does not answer questions about callers, trying again: %s", error)
        self._away_until = now + OUTAGE_PAUSE
        return UnansweredError(away=True)

    def answered(self) -> None:
        """A question got an answer, whatever it says: the API server is there."""
        if self._away_until:
            self._away_until = 0.0
            logger.info("the API server answers questions about callers again")

    def failed(self, client: str, now: float) -> None:
        """The answer to a question of this client's was no."""
        if self._rate <= 0:
            return
        for account, rate in ((client, self._rate), (_EVERYBODY, self._rate * OVERALL)):
            full_at = max(self._full_at.get(account, 0.0), now) + 1 / rate
            self._full_at[account] = min(full_at, now + 2 * BURST_SECONDS)
            self._full_at.move_to_end(account)
        while len(self._full_at) > MAX_CLIENTS:
            self._full_at.popitem(last=False)

    def _require_hope(self, client: str, now: float, *, known: bool) -> None:
        """Return if an answer may come, and the client may ask for one."""
        if now < self._away_until:
            raise UnansweredError(away=True)
        if not known:
            for account in (client, _EVERYBODY):
                if self._full_at.get(account, 0.0) - now >= BURST_SECONDS - _ROUNDING:
                    raise TooManyFailuresError
