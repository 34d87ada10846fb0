"""When the API server may be asked about a caller: so many questions at once, none while it is away, none for a flood.

Pure: times are given, in seconds of a clock that never steps.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from connectors.kube.errors import ForbiddenError, KubeError, UnauthorizedError, UnavailableError
from connectors.objects.reasons import Reason, Refusal, RefusedError
from proxy.callers.budgets import Budget
from proxy.callers.fair_queue import FairQueue

logger = logging.getLogger("connectors.identity")

# In each share: together they must leave some of this program's part of the API server (and of the connections to it,
# connectors/kube/transport.py), and no share may delay another.
QUESTIONS_AT_ONCE = 16
# Seconds without a question after one that was not answered: an outage makes no flood, and not every request waits.
OUTAGE_PAUSE = 1.0
# Seconds that a question may take if the last answer could serve as well: an API server that takes connections and
# never answers is as good as away, and must not cost each request the whole timeout.
SLOW_AFTER = 3.0
# Seconds after one that took longer, in which a caller who was let in before does not wait at all.
SLOW_FOR = 5.0

# An account may save up the failures of so many seconds: a rollout with a wrong token fails many times at once.
BURST_SECONDS = 10.0
# All accounts of a share together may fail as often as so many of them: a flood can come from many addresses.
OVERALL = 10
# Questions of one share that wait: as many as there are client connections by default. What a client asked that has
# left goes on waiting, so the connections alone would be no bound.
MAX_WAITING = 4096
# Of those that wait, how many are refused at once: each is an answer to write, and thousands would hold the loop.
REFUSED_AT_ONCE = 64
# Seconds that a question waits at most because others fail too often, by as many as wait: a client that got no answer
# for longer has given up.
PATIENCE = 10.0

# Whatever was asked: there is no answer, this program lacks a role, or its own token has ended. An API server that
# starts says the latter two as well, before it has read its roles.
_OF_ANY_QUESTION = (UnavailableError, ForbiddenError, UnauthorizedError)
_UNANSWERED = Refusal(
    Reason.AUTHENTICATION_UNAVAILABLE,
    "the API server cannot be asked now whose this token is and what it allows; send the request again later",
)
_TOO_MANY = "too many tokens from this address were refused; correct the token, then send the request again"
_CROWD = "too many unknown callers come at once; send the request again later"


class Share(StrEnum):
    """Parts of what the API server may be asked: none can be used up by what counts in another."""

    KNOWN = "known"  # the newest answer to the same question was yes
    VOUCHED = "vouched"  # the caller is unknown, but its token is signed by the API server, or was accepted by it
    OTHERS = "others"

    __hash__ = str.__hash__  # Enum's is Python's


class Asker(NamedTuple):
    """Of which share a question is, and on whose account: in VOUCHED a tenant's at an address, else the address."""

    share: Share
    account: str


class UnansweredError(RefusedError):
    """No answer comes now. `away`: to any question, so that earlier answers may count; else only to this one."""

    def __init__(self, *, away: bool) -> None:
        # No 401: clients drop their stored login at one.
        super().__init__(_UNANSWERED)
        self.away = away


class TooManyFailuresError(RefusedError):
    """This account's tokens were refused too often, or too many wait because others' were; no question was asked."""

    def __init__(self, wait: float = 1.0, message: str = _TOO_MANY) -> None:
        """`wait`: seconds until there is hope."""
        super().__init__(Refusal(Reason.TOO_MANY_REQUESTS, message, retry_after=max(1, math.ceil(wait))))


Tell = Callable[[RefusedError | None], None]


class _Lane:
    """One share: its free places, what waits for one, and how often it may fail."""

    def __init__(self, places: int, rate: float) -> None:
        self.free = places
        self.waiting: FairQueue[Tell] = FairQueue()
        self.budget = Budget(rate, BURST_SECONDS, OVERALL)

    def room(self, now: float) -> float:
        """How many may wait. While all have failed too often turns come by the rate, which says how many in time."""
        if not self.budget.wait_of_all(now):
            return MAX_WAITING
        return min(MAX_WAITING, self.budget.rate * OVERALL * PATIENCE)


class Limiter:
    """One for all questions of a process.

    Failures are counted, not questions: no number of callers with good tokens is ever too many. An account that has
    failures left may ask; what turns out a failure is taken off afterwards, and may leave a debt of one burst. Where
    all accounts together have none left, questions wait, and turns come as failures are allowed again: first to those
    that owe least. So a flood of many addresses keeps out none that comes from another one.
    """

    def __init__(self, rate: float, questions_at_once: int = QUESTIONS_AT_ONCE) -> None:
        """`rate`: failures a second of one account; 0: no limit."""
        # Who was let in before is asked about whatever fails: a no makes it unknown.
        rates = {Share.KNOWN: 0.0, Share.VOUCHED: rate, Share.OTHERS: rate}
        self._lanes = {share: _Lane(questions_at_once, limit) for share, limit in rates.items()}
        # 0: the last question was answered.
        self._away_until = 0.0
        self._slow_until = 0.0

    def enter(self, asker: Asker, tell: Tell, now: float) -> bool:
        """Whether a question may be asked now. If not, `tell` hears when it may (None), or why not; it may do so here.

        Raises:
            UnansweredError: the API server is away.
            TooManyFailuresError: the account has no failures left, or too many questions wait.
        """
        lane = self._lanes[asker.share]
        # Before it waits as well: otherwise any number of questions of an account without failures left could wait.
        self._require_hope(lane, asker.account, now)
        if lane.free and not lane.waiting and not lane.budget.wait_of_all(now):
            lane.free -= 1
            return True
        if len(lane.waiting) >= lane.room(now):
            displaced = lane.waiting.displace(asker.account)
            crowd = TooManyFailuresError(PATIENCE, _CROWD)
            if displaced is None:
                raise crowd
            displaced(crowd)
        lane.waiting.add(asker.account, tell, now)
        self._give_turns(lane, now)
        return False

    def leave(self, asker: Asker, now: float) -> None:
        """A question that was asked is over, and its failure is counted: the next one may be asked."""
        lane = self._lanes[asker.share]
        lane.free += 1
        self._give_turns(lane, now)

    def pause(self, now: float) -> float | None:
        """Seconds until `wake` has a turn to give that no `leave` gives; None if nothing waits for that."""
        lanes = (lane for lane in self._lanes.values() if lane.waiting and lane.free)
        return min((lane.budget.wait_of_all(now) for lane in lanes), default=None)

    def wake(self, now: float) -> None:
        """Give the turns for which there are places and failures now."""
        for lane in self._lanes.values():
            self._give_turns(lane, now)

    def _give_turns(self, lane: _Lane, now: float) -> None:
        refused = 0
        while lane.waiting and lane.free and refused < REFUSED_AT_ONCE:
            if now >= self._away_until and lane.budget.wait_of_all(now):
                break
            account, tell = lane.waiting.pop(now, lane.budget.full_at)
            try:
                # Once more, in its turn: by now, others of its account may have failed.
                self._require_hope(lane, account, now)
            except (UnansweredError, TooManyFailuresError) as error:
                refused += 1
                tell(error)
            else:
                lane.free -= 1
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

    def failed(self, asker: Asker, now: float) -> None:
        """The answer to a question on this account was no."""
        self._lanes[asker.share].budget.spend(asker.account, now)

    def _require_hope(self, lane: _Lane, account: str, now: float) -> None:
        """Return if an answer may come, and may be asked for on this account."""
        if now < self._away_until:
            raise UnansweredError(away=True)
        if wait := lane.budget.wait(account, now):
            raise TooManyFailuresError(wait)
