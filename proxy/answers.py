"""What the API server has answered about callers, remembered: one question for many requests, and none for a while."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from connectors.process.clock import Clock
from proxy.api_gate import PATIENCE, ApiGate, TooManyFailuresError, UnansweredError

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


@dataclass(frozen=True, slots=True)
class Keeping:
    """Seconds. `fresh`: that an answer counts. `stale`: that a yes counts while the API server is away (0: not)."""

    fresh: float = 10.0
    stale: float = 300.0


class Asked(NamedTuple):
    """One question. `key` is a digest; `ends`: when the token does, seconds since the epoch; `client`: who asks."""

    key: bytes
    ends: float | None
    client: str


class _Answer(NamedTuple, Generic[V]):
    """Asked at a monotonic time, about a token that ends at a time of the wall clock."""

    value: V | None
    at: float
    ends: float | None


class Answers(Generic[V]):
    """Answers to one kind of question. None is the answer no; it is remembered as well, and ends what a yes allowed.

    A yes never outlives its token. `sources` counts where answers came from.
    """

    def __init__(self, clock: Clock, keeping: Keeping, gate: ApiGate) -> None:
        self.sources: Counter[Source] = Counter()
        self._clock = clock
        self._keeping = keeping
        self._gate = gate
        self._yes: OrderedDict[bytes, _Answer[V]] = OrderedDict()
        self._no: OrderedDict[bytes, _Answer[V]] = OrderedDict()
        self._running: dict[bytes, asyncio.Task[V | None]] = {}

    async def get(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> V | None:
        """The answer: remembered, or to `question`, which raises KubeError where it gets none.

        Raises:
            UnansweredError: nobody can tell now.
            TooManyFailuresError: too many of this client's questions had no for an answer.
        """
        answer = self._fresh(asked.key)
        if answer is not None:
            self.sources[Source.CACHE] += 1
            return answer.value
        try:
            return await self._asked(asked, question)
        except UnansweredError as error:
            stale = self._stale(asked.key) if error.unreachable else None
            self.sources[Source.STALE if stale else Source.NONE] += 1
            if stale is None:
                raise
            return stale.value

    async def _asked(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> V | None:
        patience = None
        if self._stale(asked.key):
            self._gate.check_prompt()
            patience = PATIENCE
        running = self._running.get(asked.key) or self._begin(asked, question)
        try:
            async with asyncio.timeout(patience):
                # Shielded: the caller that asked first may leave, and others wait for the same answer.
                return await asyncio.shield(running)
        except TimeoutError:
            raise self._gate.too_slow() from None

    def _begin(self, asked: Asked, question: Callable[[], Awaitable[V | None]]) -> asyncio.Task[V | None]:
        self._gate.check_open()
        known = asked.key in self._yes
        if not known and not self._gate.budget.allows(asked.client, self._clock.monotonic()):
            self.sources[Source.LIMITED] += 1
            raise TooManyFailuresError
        running = asyncio.create_task(self._ask(asked, question, known=known))
        self._running[asked.key] = running
        running.add_done_callback(lambda done: self._over(asked.key, done))
        return running

    async def _ask(self, asked: Asked, question: Callable[[], Awaitable[V | None]], *, known: bool) -> V | None:
        async with self._gate.passed(known=known):
            # Before the answer: whatever changes behind the question is in effect within the time from here.
            at = self._clock.monotonic()
            value = await question()
        self.sources[Source.API] += 1
        self._remember(asked, _Answer(value, at, asked.ends))
        if value is None:
            self._gate.budget.failed(asked.client, self._clock.monotonic())
        return value

    def _remember(self, asked: Asked, answer: _Answer[V]) -> None:
        kept, other = (self._no, self._yes) if answer.value is None else (self._yes, self._no)
        other.pop(asked.key, None)
        kept[asked.key] = answer
        kept.move_to_end(asked.key)
        while len(kept) > MAX_REMEMBERED:
            kept.popitem(last=False)

    def _over(self, key: bytes, done: asyncio.Task[V | None]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # everybody who asked may have left: then nobody else looks at it

    def _fresh(self, key: bytes) -> _Answer[V] | None:
        answer = self._yes.get(key) or self._no.get(key)
        if answer is None or self._clock.monotonic() - answer.at >= self._keeping.fresh or self._ended(answer):
            return None
        return answer

    def _stale(self, key: bytes) -> _Answer[V] | None:
        answer = self._yes.get(key)
        if answer is None or self._clock.monotonic() - answer.at >= self._keeping.stale or self._ended(answer):
            return None
        return answer

    def _ended(self, answer: _Answer[V]) -> bool:
        return answer.value is not None and answer.ends is not None and self._clock.now().timestamp() >= answer.ends
