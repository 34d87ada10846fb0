"""Questions to the API server about callers: each is asked once for all who wait, in its turn, and its answer kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, NamedTuple, TypeVar

from connectors.kube.errors import KubeError
from connectors.objects.reasons import RefusedError
from connectors.process.clock import Clock
from proxy.callers.answers import AnswerSource, CachedReview, Evidence, ReviewCache
from proxy.callers.limiter import SLOW_AFTER, Asker, Limiter, TooManyFailuresError, UnansweredError
from proxy.settings import CallerSettings

V = TypeVar("V")


class Inquiry(NamedTuple, Generic[V]):
    """One question. `key` is its digest; `put` asks it: None is the answer no, KubeError that there is no answer.

    `ends`: when the token does, seconds since the epoch. `asker` says of which share the question is, and on whose
    account, where it must be asked; it is told whether the newest answer was a yes. `evidence` hears of the answer.
    `of_nothing`: it is about an object that does not exist. Then a yes helps no caller: it is not remembered, and
    counts as a failure of this account's, who could otherwise ask without end and push out other answers.
    """

    key: bytes
    put: Callable[[], Awaitable[V | None]]
    ends: float | None
    asker: Callable[[bool], Asker]
    evidence: Evidence | None = None
    of_nothing: bool = False


class Reviews(Generic[V]):
    """One question for many requests, and none for a while. `sources` counts where answers came from."""

    def __init__(self, clock: Clock, settings: CallerSettings, limiter: Limiter) -> None:
        self.sources: Counter[AnswerSource] = Counter()
        self._clock = clock
        self._cache: ReviewCache[V] = ReviewCache(settings)
        self._limiter = limiter
        # Questions on their way: the answer, and its turn, which is done as soon as it may be asked, or may not.
        self._running: dict[bytes, tuple[asyncio.Task[V | None], asyncio.Future[None]]] = {}
        # Gives turns while some wait for others' failures to be forgotten: one for all of them.
        self._pacing: asyncio.Task[None] | None = None

    async def get(self, inquiry: Inquiry[V]) -> V | None:
        """The answer, remembered or asked for; None is no.

        Raises:
            UnansweredError: the API server does not answer now.
            TooManyFailuresError: too many questions on this account were answered with no, or too many wait.
        """
        review = self._cache.fresh(inquiry.key, self._clock.monotonic(), self._clock.epoch())
        if review is not None:
            self.sources[AnswerSource.CACHE] += 1
            if inquiry.evidence:
                inquiry.evidence.rests_on(review, self._cache.until(review), self.sources)
            return review.value
        if inquiry.evidence:
            inquiry.evidence.lasting = False
        try:
            return await self._asked(inquiry)
        except TooManyFailuresError:
            self.sources[AnswerSource.LIMITED] += 1
            raise
        except UnansweredError as error:
            stale = self._stale(inquiry) if error.away else None
            self.sources[AnswerSource.STALE if stale else AnswerSource.NONE] += 1
            if stale is None:
                raise
            return stale.value

    async def _asked(self, inquiry: Inquiry[V]) -> V | None:
        # Asked first of all: if it is not waited for, the question goes on, and still tells of a revocation.
        answer, turn = self._running.get(inquiry.key) or self._begin(inquiry)
        patience = None
        if self._stale(inquiry):
            patience = SLOW_AFTER
            self._limiter.require_prompt(self._clock.monotonic())
            # Waiting in our own queue says nothing about the API server, unless it has become slow meanwhile.
            while not turn.done():
                await asyncio.wait((turn,), timeout=patience)
                self._limiter.require_prompt(self._clock.monotonic())
        # Not `await answer`: the caller that asked first may leave, and others wait for the same answer.
        await asyncio.wait((answer,), timeout=patience)
        if not answer.done():
            raise self._limiter.slow(self._clock.monotonic())
        return answer.result()

    def _begin(self, inquiry: Inquiry[V]) -> tuple[asyncio.Task[V | None], asyncio.Future[None]]:
        asker = inquiry.asker(self._cache.knows(inquiry.key))
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A refusal is raised here, before a task is made: a flood costs no tasks.
        if self._limiter.enter(asker, partial(_tell, turn), self._clock.monotonic()):
            turn.set_result(None)
        answer = asyncio.create_task(self._ask(inquiry, turn, asker))
        answer.add_done_callback(partial(self._over, inquiry.key))
        self._running[inquiry.key] = answer, turn
        self._keep_pace()
        return answer, turn

    async def _ask(self, inquiry: Inquiry[V], turn: asyncio.Future[None], asker: Asker) -> V | None:
        await turn
        try:
            # Before the answer: whatever changes behind the question is in effect within the time from here.
            at = self._clock.monotonic()
            review = CachedReview(await inquiry.put(), at, inquiry.ends)
            self._limiter.answered()
            self.sources[AnswerSource.API] += 1
            of_no_use = inquiry.of_nothing and review.value is not None
            self._cache.keep(inquiry.key, None if of_no_use else review)
            if of_no_use or review.value is None:
                self._limiter.failed(asker, self._clock.monotonic())
            return review.value
        except KubeError as error:
            raise self._limiter.unanswered(error, self._clock.monotonic()) from None
        finally:
            self._limiter.leave(asker, self._clock.monotonic())
            self._keep_pace()

    def _keep_pace(self) -> None:
        """See to it that what waits for no place gets its turns."""
        if not self._pacing and self._limiter.pause(self._clock.monotonic()) is not None:
            self._pacing = asyncio.create_task(self._paced())

    async def _paced(self) -> None:
        while (seconds := self._limiter.pause(self._clock.monotonic())) is not None:
            await self._clock.sleep(seconds)
            self._limiter.wake(self._clock.monotonic())
        self._pacing = None

    def _over(self, key: bytes, done: asyncio.Task[V | None]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # looked at here, or asyncio complains: all who asked may have left

    def _stale(self, inquiry: Inquiry[V]) -> CachedReview[V] | None:
        return self._cache.stale(inquiry.key, self._clock.monotonic(), self._clock.epoch())


def _tell(turn: asyncio.Future[None], refused: RefusedError | None) -> None:
    if turn.cancelled():
        return  # the process ends
    if refused:
        turn.set_exception(refused)
    else:
        turn.set_result(None)
