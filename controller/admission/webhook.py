"""One review: gather what is known of the class, judge, ask what the user may, answer. In time, whatever happens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus

import msgspec
from aiohttp import web

from connectors.kube.access_review import ResourceAction, may
from connectors.kube.client import KubeClient
from connectors.kube.errors import KubeError, NotFoundError
from connectors.kube.resources import CONNECTOR_CLASSES, SECRETS
from connectors.objects.names import object_name_problem
from connectors.objects.user import User
from connectors.objects.violation import Violation, errors
from connectors.process.clock import Clock, within
from connectors.sources.api_objects import HeldClass, read_class
from connectors.sources.cluster import ClusterSource
from connectors.sources.store import SnapshotStore
from controller.admission.class_memory import ClassMemory, content_key
from controller.admission.judge import Known, Sibling, judge_class, judge_connector
from controller.admission.judges import Judge, NotJudgedError
from controller.admission.metrics import AdmissionMetrics, ReviewResult
from controller.admission.review import (
    ClassReview,
    ConnectorReview,
    Review,
    ReviewError,
    decode_review,
    encode_answer,
    outline,
)
from controller.admission.rights import AccessAnswer, Question, denial_of, questions
from controller.admission.verdict import ReviewVerdict, bounded_name, denied, warned

logger = logging.getLogger("connectors.admission")

# Seconds for one review, with the wait for its turn. The API server waits for ten (deploy/webhook.yaml), and a word is
# better than silence.
DEADLINE = 8.0
# For the question to arrive, between the two: it is one packet to some hundred, from the API server.
BODY_SECONDS = 1.5
# Bytes of a body up to which many are taken at once. Nearly every question of an API server has less than 20 KiB.
SMALL = 256 * 1024
# 16 MiB of bodies, some three times as much with what is made of them. Each review may put three questions to the API
# server; a client that reaches the port must not be able to put thousands in this program's name.
SMALL_AT_ONCE = 64
# Larger ones, up to MAX_BODY in admission.py, and those that do not say how large they are. They have turns of their
# own, so that no small question waits because somebody sends large ones slowly.
LARGE_AT_ONCE = 2
# Bytes of a body up to which it is read here: 15 ms at most, whatever it holds. Nearly all have less; a process of its
# own reads the others, and judges all classes.
READ_HERE = 32 * 1024
# Connectors of a class that are looked at between two turns of the loop, and bytes of all that are sent to be judged by
# a change of it: a Connector has half a kilobyte.
SIBLINGS_A_TURN = 100
MOST_SIBLING_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class ReviewSources:
    """What reviews are judged by."""

    client: KubeClient
    source: ClusterSource
    store: SnapshotStore
    clock: Clock
    judge: Judge


class BusyError(Exception):
    """Its turn did not come in time."""


class Turns:
    """A client that waits has sent its head; up to 128 KiB of its body are with the kernel and aiohttp."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    @asynccontextmanager
    async def taken(self, length: int | None, seconds: float) -> AsyncIterator[None]:
        """A turn for a body of that declared length, waited for in order, for so many seconds at most.

        Raises:
            BusyError: others had theirs for that long.
        """
        lane = self._large if length is None or length > SMALL else self._small
        held: list[asyncio.Semaphore] = []

        async def take() -> None:
            await lane.acquire()
            held.append(lane)

        try:
            try:
                await within(self._clock, seconds, take())
            except TimeoutError as error:
                raise BusyError(str(error)) from None
            yield
        finally:
            # Also if this was cancelled at the moment when the turn came.
            for one in held:
                one.release()


class Webhook:
    """Answers AdmissionReviews over HTTP."""

    def __init__(self, around: ReviewSources, metrics: AdmissionMetrics) -> None:
        self._around = around
        self._metrics = metrics
        self._turns = Turns(around.clock)
        self._memory = ClassMemory()

    async def answer(self, request: web.Request) -> web.Response:
        """The handler. 400 if it is not a question; 408 if it does not arrive; 503 if others are in the way.

        Else 200 with an answer.
        """
        begun = self._around.clock.monotonic()
        try:
            async with self._turns.taken(request.content_length, DEADLINE):
                waited = self._around.clock.monotonic() - begun
                return await self._answered(request, DEADLINE - waited)
        except ReviewError as error:
            return self._no_question(HTTPStatus.BAD_REQUEST, str(error))
        except BusyError:
            return self._no_question(HTTPStatus.SERVICE_UNAVAILABLE, "too many questions at once; try again")
        except TimeoutError:
            return self._no_question(HTTPStatus.REQUEST_TIMEOUT, "the question did not arrive in time")
        except (ConnectionError, web.RequestPayloadError):
            return self._no_question(HTTPStatus.BAD_REQUEST, "the question broke off")

    async def _answered(self, request: web.Request, seconds: float) -> web.Response:
        begun = self._around.clock.monotonic()
        body = await within(self._around.clock, BODY_SECONDS, request.read())
        try:
            review = await self._read(body, seconds)
        except NotJudgedError as error:
            # Not a failed call: of classes these are let through (failurePolicy in deploy/webhook.yaml).
            review = outline(body)
            verdict = _not_judged(error)
        else:
            verdict = await self._decided(review, body, seconds - (self._around.clock.monotonic() - begun))
        self._tell(review, verdict)
        return web.Response(body=encode_answer(review, verdict), content_type="application/json")

    async def _read(self, body: bytes, seconds: float) -> Review:
        if len(body) <= READ_HERE:
            return decode_review(body)
        try:
            return await within(self._around.clock, seconds, self._around.judge.read(body))
        except TimeoutError:
            raise NotJudgedError(_LATE) from None

    def _no_question(self, status: HTTPStatus, problem: str) -> web.Response:
        self._metrics.malformed()
        return web.Response(status=status, text=f"{problem}\n")

    async def _decided(self, review: Review, body: bytes, seconds: float) -> ReviewVerdict:
        try:
            if isinstance(review, ClassReview):
                return await within(self._around.clock, seconds, self._class_verdict(review, body))
            return await within(self._around.clock, seconds, self._gathered(review))
        except TimeoutError as error:
            if isinstance(review, ClassReview):
                return _not_judged(NotJudgedError(_LATE))
            return _unanswered("", f"the API server did not answer this webhook's questions: {error}")
        except NotJudgedError as error:
            return _not_judged(error)
        except KubeError as error:
            return _unanswered("spec.connectorClassName", f"the class could not be read: {error}")

    async def _class_verdict(self, review: ClassReview, body: bytes) -> ReviewVerdict:
        siblings = self._siblings(review)
        if review.new is None:
            # No rule is applied to a class that goes.
            return judge_class(review, siblings)
        sent: list[bytes] = []
        size = 0
        for count, sibling in enumerate(siblings, start=1):
            sent.append(msgspec.json.encode(sibling))
            size += len(sent[-1])
            if size > MOST_SIBLING_BYTES:
                break
            if count % SIBLINGS_A_TURN == 0:
                await asyncio.sleep(0)
        verdict = await self._around.judge.class_verdict(body, sent)
        if left := len(siblings) - len(sent):
            unseen = warned([f"{left} more Connectors of this class were not looked at"])
            return replace(verdict, warnings=(*verdict.warnings, *unseen))
        return verdict

    async def _gathered(self, review: ConnectorReview) -> ReviewVerdict:
        verdict = await self._judged(review)
        asked = questions(review) if verdict.allowed else ()
        if not asked:
            return verdict
        answers = await asyncio.gather(*(self._asked(review.head.user, question) for question in asked))
        return replace(verdict, denial=denial_of(review.head.user, answers))

    async def _judged(self, review: ConnectorReview) -> ReviewVerdict:
        """By the class as it is held; before a no, and before a word on a missing or broken class, by the class itself.

        A class and its Connector may come in one `kubectl apply`, and the watch tells of the class a little later. What
        is let through in any case waits for no answer of the API server.
        """
        name = _class_named(review)
        held = self._around.source.connector_class(name) if name else None
        of_class = await self._known(held) if held else None
        if review.let_through:
            return judge_connector(review, of_class) if held or self._around.store.ready else ReviewVerdict()
        verdict = judge_connector(review, of_class)
        if not name or (verdict.allowed and of_class is not None and of_class.usable):
            return verdict
        return judge_connector(review, await self._fetched(name))

    async def _fetched(self, name: str) -> Known | None:
        try:
            held = read_class(await self._around.client.get(CONNECTOR_CLASSES, name))
        except NotFoundError:
            return None
        return await self._known(held)

    async def _known(self, held: HeldClass) -> Known:
        """What is wrong with a class, which is remembered: of most reviews the class was judged before."""
        if held.malformed:
            return Known(held.item, (held.malformed,))
        key = content_key(held.item)
        violations = self._memory.recall(key)
        if violations is None:
            violations = await self._around.judge.violations(held.item)
            self._memory.keep(key, violations)
        return Known(held.item, violations)

    async def _asked(self, user: User, question: Question) -> AccessAnswer:
        """The one question about a Secret that never reads it."""
        action = ResourceAction("get", SECRETS, *question.secret)
        try:
            return AccessAnswer(question, await may(self._around.client, user, action))
        except KubeError as error:
            return AccessAnswer(question, None, str(error))

    def _siblings(self, review: ClassReview) -> Sequence[Sibling]:
        """The Connectors of the class; none while nothing is known yet, since all that hangs on them is a warning."""
        held = review.old
        if held is None or not self._around.store.ready:
            return ()
        name = held.item.metadata.name
        judgements = self._around.store.current.judgements.values()
        return [
            Sibling(judgement.connector, bool(errors(judgement.violations)))
            for judgement in judgements
            if judgement.connector.spec.connector_class_name == name
        ]

    def _tell(self, review: Review, verdict: ReviewVerdict) -> None:
        """Count it, and log it at debug with the user's name; nothing else of theirs: `extra` may name credentials."""
        code = verdict.denial.code if verdict.denial else HTTPStatus.OK
        result = ReviewResult.DENIED if verdict.denial else ReviewResult.ALLOWED
        if code is HTTPStatus.SERVICE_UNAVAILABLE:
            result = ReviewResult.ERROR
            logger.warning("a review could not be judged: %s", verdict.denial.message if verdict.denial else "")
        kind = "Connector" if isinstance(review, ConnectorReview) else "ConnectorClass"
        self._metrics.reviewed(kind, review.head.operation.value, result)
        user = bounded_name(review.head.user.username)
        logger.debug("%s of a %s by %s: %d", review.head.operation.value, kind, user, code)


def _class_named(review: ConnectorReview) -> str:
    """The class to look for; empty if there is none, or if its name is not a name: it must not become a path."""
    if review.new is None or review.new.malformed is not None:
        return ""
    name = review.new.item.spec.connector_class_name
    return "" if object_name_problem(name) else name


_LATE = "it was not judged in time"


def _not_judged(error: NotJudgedError) -> ReviewVerdict:
    """A no, since it is not known whether a rule is broken."""
    what = Violation("spec", f"{error}, or try again; the rules say what it may hold")
    return ReviewVerdict(denied(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", [what]), warned(()))


def _unanswered(path: str, problem: str) -> ReviewVerdict:
    """A no, since the answer is not known."""
    message = f"{problem}; try again, and if that lasts, look at the log of the controller"
    what = Violation(path, message) if path else Violation("metadata", message)
    return ReviewVerdict(denied(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", [what]), warned(()))
