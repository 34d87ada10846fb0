"""How the API server is asked about callers: so many questions at once, none while it is away, none for a flood."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.kube.errors import ForbiddenError, KubeError, UnauthorizedError, UnavailableError
from connectors.process.clock import Clock
from proxy.failure_budget import FailureBudget

logger = logging.getLogger("connectors.identity")

PAUSE = 1.0
"""Seconds without a question after one that was not answered, so that an outage is no flood, nor a wait each time."""
PATIENCE = 3.0
"""Seconds that a question may take where the last answer could serve as well: an API server that takes connections and
never answers is as good as away, and must not cost each request the whole timeout."""
IMPATIENCE = 5.0
"""Seconds after one that took longer, in which nobody waits who need not."""
AT_ONCE = 16
"""Questions at once about callers whom nobody knows yet: they must not use up what this program is granted."""
AT_ONCE_KNOWN = 16
"""Questions at once about callers who were let in before; strangers must not keep them waiting."""


_OF_ANY_QUESTION = (UnavailableError, ForbiddenError, UnauthorizedError)
"""Whatever was asked: there is no answer, this program lacks a role, or its own token has ended. An API server that
starts says the latter two as well, before it has read its roles."""


class UnansweredError(Exception):
    """Nobody can tell now. `away`: about nobody, so that earlier answers may count; else about this caller alone."""

    def __init__(self, *, away: bool) -> None:
        super().__init__("the API server gave no answer")
        self.away = away


class TooManyFailuresError(Exception):
    """This client's tokens were refused too often; nobody was asked."""


class ApiGate:
    """One for all questions of a process."""

    def __init__(self, clock: Clock, budget: FailureBudget) -> None:
        self.budget = budget
        self._clock = clock
        self._strangers = asyncio.Semaphore(AT_ONCE)
        self._known = asyncio.Semaphore(AT_ONCE_KNOWN)
        self._away_until: float | None = None
        self._slow_until = 0.0

    def check_prompt(self) -> None:
        """Whether there is hope of an answer within PATIENCE.

        Raises:
            UnansweredError: not now.
        """
        self.check_open()
        if self._clock.monotonic() < self._slow_until:
            raise UnansweredError(away=True)

    def too_slow(self) -> UnansweredError:
        """A question has taken longer than PATIENCE; the error for who does not wait any more."""
        self._slow_until = self._clock.monotonic() + IMPATIENCE
        return UnansweredError(away=True)

    def check_open(self) -> None:
        """Whether there is hope of an answer.

        Raises:
            UnansweredError: not now.
        """
        if self._away_until is not None and self._clock.monotonic() < self._away_until:
            raise UnansweredError(away=True)

    @asynccontextmanager
    async def passed(self, *, known: bool) -> AsyncIterator[None]:
        """Wait for a turn; in it, ask. What goes wrong within is what `check_open` tells others of for a while.

        Raises:
            UnansweredError: there was no answer, to this question or to one before while this one waited.
        """
        async with self._known if known else self._strangers:
            self.check_open()
            try:
                yield
            except KubeError as error:
                raise self._unanswered(error) from None
        if self._away_until is not None:
            self._away_until = None
            logger.info("the API server answers questions about callers again")

    def _unanswered(self, error: KubeError) -> UnansweredError:
        if not isinstance(error, _OF_ANY_QUESTION):
            # It is about this question alone: others must not be kept waiting by what one caller has sent.
            logger.warning("the API server has no answer to a question about a caller: %s", error)
            return UnansweredError(away=False)
        if self._away_until is None:
            logger.warning("the API server does not answer questions about callers, trying again: %s", error)
        self._away_until = self._clock.monotonic() + PAUSE
        return UnansweredError(away=True)
