"""What the API server has answered about callers, remembered: one question for many requests, and none for a while."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from connectors.process.clock import Clock
from proxy.api_gate import PATIENCE, ApiGate, TooManyFailuresError, UnansweredError
from proxy.evidence import Answer, Evidence

V = TypeVar("V")

MAX_REMEMBERED = 16_384
"""Answers of yes, and as many of no; the oldest go first. Kept apart, so that a flood of made-up tokens pushes out
nobody who was let in. About 6 MiB."""


class Source(StrEnum):
    """Where an answer came from (metric `connectors_proxy_auth_answers_total`)."""

    API = "api"
    CACHE = "cache"
    STALE = "stale"
    NONE = "none"
    LIMITED = "limited"

    __hash__ = str.__hash__  # Enum's is Python's, and these are counted for each request


@dataclass(frozen=True, slots=True)
class Keeping:
    """Seconds. `fresh`: that an answer counts. `stale`: that a yes counts while the API server is away (0: not)."""

    fresh: float = 10.0
    stale: float = 300.0


class Asked(NamedTuple):
    """One question. `key` is a digest; `ends`: when the token does, seconds since the epoch; `client`: who asks.

    `of_nothing`: it is about what does not exist. Then a yes is of no use to anybody: it is not remembered, and counts
    as a failure of this client's, who could else ask without end and push out what others need. `evidence` hears of the
    answer that was given.
    """

    key: bytes
    ends: float | None
    client: str
    of_nothing: bool = False
    evidence: Evidence | None = None


class _Running(NamedTuple, Generic[V]):
    """A question on its way; `sent` once its turn has come, or it is over."""

    answer: asyncio.Task[V | None]
    sent: asyncio.Event


class Answers(Generic[V]):
    """Answers to one kind of question. None is the answer no; it is remembered as well, and ends what a yes allowed.

    A yes never outlives its token. `sources` counts where answers came from.
    """

    def __init__(self, clock: Clock, keeping: Keeping, gate: ApiGate) -> None:
        self.sources: Counter[Source] = Counter()
        self._clock = clock
        self._keeping = keeping
        self._gate = gate
        self._yes: OrderedDict[bytes, Answer[V]] = OrderedDict()
        self._no: OrderedDict[bytes, Answer[V]] = OrderedDict()
        self._running: dict[bytes, _Running[V]] = {}

    async def get(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> V | None:
        """The answer: remembered, or to `question`, which raises KubeError where it gets none.

        Raises:
            UnansweredError: nobody can tell now.
            TooManyFailuresError: too many of this client's questions had no for an answer.
        """
        answer = self._fresh(asked.key)
        if answer is not None:
            self.sources[Source.CACHE] += 1
            if asked.evidence:
                until = answer.at + self._keeping.fresh
                asked.evidence.rests_on(answer, until, (self.sources, Source.CACHE))
            return answer.value
        if asked.evidence:
            asked.evidence.lasting = False
        try:
            return await self._asked(asked, question)
        except TooManyFailuresError:
            self.sources[Source.LIMITED] += 1
            raise
        except UnansweredError as error:
            stale = self._stale(asked.key) if error.away else None
            self.sources[Source.STALE if stale else Source.NONE] += 1
            if stale is None:
                raise
            return stale.value

    async def _asked(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> V | None:
        # First of all: what is not waited for goes on, and tells of a revocation all the same.
        running = self._running.get(asked.key) or self._begin(asked, question)
        patience = None
        if self._stale(asked.key):
            self._gate.check_prompt()
            await self._turn(running)
            patience = PATIENCE
        try:
            async with asyncio.timeout(patience):
                # Shielded: the caller that asked first may leave, and others wait for the same answer.
                return await asyncio.shield(running.answer)
        except TimeoutError:
            raise self._gate.too_slow() from None

    async def _turn(self, running: _Running[V]) -> None:
        """Wait until it is sent: a queue of our own is no fault of the API server's, unless that has become slow."""
        while not running.sent.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await running.sent.wait()
            self._gate.check_prompt()

    def _begin(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> _Running[V]:
        self._gate.check_open()
        known = asked.key in self._yes
        self._check_budget(asked, known=known)
        sent = asyncio.Event()
        running = _Running(asyncio.create_task(self._ask(asked, question, sent, known=known)), sent)
        self._running[asked.key] = running
        running.answer.add_done_callback(lambda done: self._over(asked.key, done))
        return running

    async def _ask(
        self, asked: Asked, question: Callable[[], Awaitable[V | None]], sent: asyncio.Event, *, known: bool
    ) -> V | None:
        try:
            async with self._gate.passed(known=known):
                # Once more: of many that came at once, those before this one have used up what was left.
                self._check_budget(asked, known=known)
                sent.set()
                # Before the answer: whatever changes behind the question is in effect within the time from here.
                at = self._clock.monotonic()
                value = await question()
        finally:
            sent.set()
        self.sources[Source.API] += 1
        self._remember(asked, Answer(value, at, asked.ends))
        if value is None or asked.of_nothing:
            self._gate.budget.failed(asked.client, self._clock.monotonic())
        return value

    def _check_budget(self, asked: Asked, *, known: bool) -> None:
        if not known and not self._gate.budget.allows(asked.client, self._clock.monotonic()):
            raise TooManyFailuresError

    def _remember(self, asked: Asked, answer: Answer[V]) -> None:
        for kept in (self._yes, self._no):
            if replaced := kept.pop(asked.key, None):
                replaced.kept = False
        if asked.of_nothing and answer.value is not None:
            return
        kept = self._no if answer.value is None else self._yes
        kept[asked.key] = answer
        while len(kept) > MAX_REMEMBERED:
            kept.popitem(last=False)[1].kept = False

    def _over(self, key: bytes, done: asyncio.Task[V | None]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # everybody who asked may have left: then nobody else looks at it

    def _fresh(self, key: bytes) -> Answer[V] | None:
        return self._counting(self._yes.get(key) or self._no.get(key), self._keeping.fresh)

    def _stale(self, key: bytes) -> Answer[V] | None:
        return self._counting(self._yes.get(key), self._keeping.stale)

    def _counting(self, answer: Answer[V] | None, seconds: float) -> Answer[V] | None:
        """The answer, if it is not older than that and its token, for a yes, has not ended."""
        if answer is None or self._clock.monotonic() - answer.at >= seconds:
            return None
        lives = answer.value is None or answer.ends is None or self._clock.now().timestamp() < answer.ends
        return answer if lives else None
