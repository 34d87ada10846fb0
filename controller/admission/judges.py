"""The processes that judge, and their queues: each question is answered in time, or refused with a sentence."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Violation
from connectors.process.backoff import Backoff
from connectors.process.workers import BrokenWorkerError, Link, Workers, WorkersPlan
from controller.admission.judging import (
    Frame,
    JudgingKind,
    class_question,
    review_in,
    verdict_in,
    violations_in,
    violations_question,
)
from controller.admission.review import Review
from controller.admission.verdict import ReviewVerdict

logger = logging.getLogger("connectors.admission")

# Bytes of a question up to which it goes to the first of the two processes: what takes long is with the second, and no
# small question waits for it.
SMALL_QUESTION = 64 * 1024
# Seconds for one answer. What rules and budgets let through takes 0.2 s on a machine that is not busy, 1.4 MiB of
# nothing but mistakes 1.4 s; a review has 8 s, and the API server waits for ten (deploy/webhook.yaml).
ANSWER_SECONDS = 2.5
# Questions that wait for one process.
MOST_WAITING = 32
# Seconds for a process to begin: it loads the rules in half a second, on a busy machine in several.
START_SECONDS = 30.0
# Seconds behind its end in which an answer may still arrive: it is in the socket then.
LATE_ANSWER = 0.1
# Of the wait before another one takes the place of one that ended: the questions behind wait for it.
FIRST_WAIT, LONGEST_WAIT = 0.05, 2.0


class NotJudgedError(Exception):
    """It could not be judged; the message is for the author of the object."""


class Judge(Protocol):
    """What takes long in a review."""

    async def read(self, body: bytes) -> Review:
        """What a review asks; of classes without their specs.

        Raises:
            ReviewError: it is no review.
            NotJudgedError: it took too long, or too many waited.
        """

    async def class_verdict(self, body: bytes, siblings: Sequence[bytes]) -> ReviewVerdict:
        """The verdict of a review of a class with Connectors (each a Sibling in JSON).

        Raises:
            ReviewError: it is no review of a class.
            NotJudgedError: as of `read`.
        """

    async def violations(self, item: ConnectorClass) -> tuple[Violation, ...]:
        """What is wrong with a class.

        Raises:
            NotJudgedError: as of `read`.
        """


class _Asked:
    """A question that waits for its answer."""

    __slots__ = ("answer", "kind", "payload")

    def __init__(self, kind: JudgingKind, payload: bytes) -> None:
        self.kind = kind
        self.payload = payload
        self.answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(NotJudgedError(why))


class _Lane:
    """The questions for one process, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[_Asked] = deque()
        self._news = asyncio.Event()

    def put(self, asked: _Asked) -> None:
        """Have it wait for its turn.

        Raises:
            NotJudgedError: too many wait.
        """
        # Those whose time was over are no load: nobody waits for their answer.
        self._waiting = deque(item for item in self._waiting if not item.answer.done())
        if len(self._waiting) >= MOST_WAITING:
            raise NotJudgedError("too many objects wait to be judged")
        self._waiting.append(asked)
        self._news.set()

    async def take(self) -> _Asked:
        """The next one that somebody still waits for."""
        while True:
            while self._waiting:
                if not (asked := self._waiting.popleft()).answer.done():
                    return asked
            self._news.clear()
            await self._news.wait()


class JudgeProcesses:
    """A Judge: two processes, one for small questions and one for large ones, each with one question at a time.

    One that does not answer in time, or ends, is replaced. Only the question that it had is lost; those that wait are
    judged by the next one.
    """

    def __init__(self, seconds: float = ANSWER_SECONDS, module: str = "controller.admission.judging_worker") -> None:
        """`seconds`: for one answer. `module`: what each process runs."""
        self._seconds = seconds
        self._lanes = (_Lane(), _Lane())
        # The conversation with one that has no question does not notice that it ended.
        plan = WorkersPlan(
            module, len(self._lanes), last_words=LATE_ANSWER, backoff=lambda: Backoff(FIRST_WAIT, LONGEST_WAIT),
            environment={},
        )  # fmt: skip
        self._workers = Workers(plan, self._converse, lambda _: None)

    @property
    def restarts(self) -> int:
        """How many processes took the place of another one."""
        return self._workers.restarts

    def start(self) -> None:
        """Begin to start the processes; questions may come at once."""
        self._workers.start()

    async def stop(self) -> None:
        """End them."""
        await self._workers.kill()

    async def read(self, body: bytes) -> Review:
        """See Judge."""
        return review_in(await self._answered(JudgingKind.READ, body))

    async def class_verdict(self, body: bytes, siblings: Sequence[bytes]) -> ReviewVerdict:
        """See Judge."""
        return verdict_in(await self._answered(JudgingKind.CLASS, class_question(body, siblings)))

    async def violations(self, item: ConnectorClass) -> tuple[Violation, ...]:
        """See Judge."""
        return violations_in(await self._answered(JudgingKind.VIOLATIONS, violations_question(item)))

    async def _answered(self, kind: JudgingKind, payload: bytes) -> Frame:
        asked = _Asked(kind, payload)
        self._lanes[len(payload) > SMALL_QUESTION].put(asked)
        frame = await asked.answer
        if frame[0] == JudgingKind.FAILED:
            logger.error("a review could not be judged (%s); please report it", frame[1].decode())
            raise NotJudgedError("its rules could not be applied")
        return frame

    async def _converse(self, link: Link) -> None:
        async with asyncio.timeout(START_SECONDS):
            first = await link.frames.receive()
        while first is not None:
            asked = await self._lanes[link.number].take()
            try:
                async with asyncio.timeout(self._seconds):
                    frame = await self._asked(link, asked)
            except TimeoutError:
                asked.fail(f"it takes longer than {self._seconds:g} s to judge; make it smaller")
                raise BrokenWorkerError(f"a review takes longer than {self._seconds:g} s to judge") from None
            finally:
                # Whatever ended the conversation: nobody else knows of this question any more.
                asked.fail("the process that judges ended over it; make it smaller")
            if frame is None:
                return

    async def _asked(self, link: Link, asked: _Asked) -> Frame | None:
        link.frames.send(asked.kind, asked.payload)
        await link.frames.drained()
        answer = await link.frames.receive()
        if answer is None:
            return None
        frame = JudgingKind(answer[0]), answer[1]
        if not asked.answer.done():
            asked.answer.set_result(frame)
        return frame
