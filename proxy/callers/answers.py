"""What the API server has answered about callers, as it is remembered, and until when it counts. Pure."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import Generic, TypeVar

from proxy.settings import CallerSettings

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

# Answers of yes, and as many of no; the oldest go first. Kept apart, so that a flood of made-up tokens pushes out no
# caller who was let in. About 6 MiB.
MAX_REMEMBERED = 16_384


class AnswerSource(StrEnum):
    """Where an answer came from (metric `connectors_proxy_auth_answers_total`)."""

    API = "api"
    CACHE = "cache"
    STALE = "stale"
    NONE = "none"
    LIMITED = "limited"

    __hash__ = str.__hash__  # Enum's is Python's, and these are counted for each request


class CachedReview(Generic[V_co]):
    """What was answered at the monotonic time `at`, in seconds, about a token that ends at `ends` of the wall clock.

    `value` None is the answer no. `kept`: it is still the newest answer to its question, and remembered.
    """

    __slots__ = ("at", "ends", "kept", "value")

    def __init__(self, value: V_co | None, at: float, ends: float | None) -> None:
        self.value = value
        self.at = at
        self.ends = ends
        self.kept = True


class ReviewCache(Generic[V]):
    """Answers to one kind of question, by a digest of what was asked. A no ends what an earlier yes allowed."""

    def __init__(self, settings: CallerSettings) -> None:
        self._settings = settings
        self._yes: OrderedDict[bytes, CachedReview[V]] = OrderedDict()
        self._no: OrderedDict[bytes, CachedReview[V]] = OrderedDict()

    def knows(self, key: bytes) -> bool:
        """Whether the newest answer was a yes, however old it is."""
        return key in self._yes

    def until(self, review: CachedReview[object]) -> float:
        """The monotonic time until which the answer is fresh."""
        return review.at + self._settings.cache_ttl

    def fresh(self, key: bytes, monotonic: float, wall: float) -> CachedReview[V] | None:
        """The answer that counts without a question, at these times of the two clocks, in seconds."""
        review = self._yes.get(key) or self._no.get(key)
        return review if review and monotonic < self.until(review) and _lives(review, wall) else None

    def stale(self, key: bytes, monotonic: float, wall: float) -> CachedReview[V] | None:
        """The yes that counts while the API server is away. A no does not: at a 401, clients drop their login."""
        review, seconds = self._yes.get(key), self._settings.stale_if_error
        return review if review and monotonic - review.at < seconds and _lives(review, wall) else None

    def keep(self, key: bytes, review: CachedReview[V] | None) -> None:
        """Remember the newest answer, or none: the one before no longer counts, in every decision that rests on it."""
        for reviews in (self._yes, self._no):
            if replaced := reviews.pop(key, None):
                replaced.kept = False
        if review is None:
            return
        reviews = self._no if review.value is None else self._yes
        reviews[key] = review
        while len(reviews) > MAX_REMEMBERED:
            reviews.popitem(last=False)[1].kept = False


def _lives(review: CachedReview[object], wall: float) -> bool:
    """Whether the token of a yes has not ended."""
    return review.value is None or review.ends is None or wall < review.ends


class Evidence:
    """Gathers answers while a request is decided on. `lasting`: the decision rests on nothing but those gathered.

    An answer that was stale, limited, missing or has just been asked for makes it not so: such a decision is for one
    request.
    """

    __slots__ = ("_ends", "_monotonic", "_reviews", "_until", "_wall", "lasting")

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        """`monotonic` and `wall` tell the time by the two clocks, in seconds; `wall` since the epoch."""
        self._monotonic = monotonic
        self._wall = wall
        self._reviews: list[tuple[CachedReview[object], Counter[AnswerSource]]] = []
        self._until = float("inf")
        self._ends = float("inf")
        self.lasting = True

    def rests_on(self, review: CachedReview[object], until: float, sources: Counter[AnswerSource]) -> None:
        """`review` counts before the monotonic time `until`; its uses are counted in `sources`."""
        self._reviews.append((review, sources))
        self._until = min(self._until, until)
        if review.ends is not None:
            self._ends = min(self._ends, review.ends)

    def holds(self) -> bool:
        """Whether every answer still counts: none too old, replaced or forgotten, and no token ended."""
        if not self._reviews or self._monotonic() >= self._until:
            return False
        if self._ends != float("inf") and self._wall() >= self._ends:
            return False
        # Not all(...): a generator costs more than the look.
        for review, _ in self._reviews:  # noqa: SIM110
            if not review.kept:
                return False
        return True

    def count(self) -> None:
        """The decision was used again: each answer was, as if it had been looked up."""
        for _, sources in self._reviews:
            sources[AnswerSource.CACHE] += 1
