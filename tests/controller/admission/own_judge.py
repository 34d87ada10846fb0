"""A Judge in the test's own process, by the functions that the other process has."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Violation
from controller.admission.judges import NotJudgedError
from controller.admission.judging import (
    Frame,
    Judging,
    JudgingKind,
    class_question,
    review_in,
    verdict_in,
    violations_in,
    violations_question,
)
from controller.admission.review import Review
from controller.admission.verdict import ReviewVerdict


class OwnJudge:
    """`asked` is what came; with `refusing` nothing is judged."""

    def __init__(self) -> None:
        self.asked: list[JudgingKind] = []
        self.refusing = ""
        self._judging = Judging()

    def _answer(self, kind: JudgingKind, payload: bytes) -> Frame:
        self.asked.append(kind)
        if self.refusing:
            raise NotJudgedError(self.refusing)
        return self._judging.answer(kind, payload)

    async def read(self, body: bytes) -> Review:
        return review_in(self._answer(JudgingKind.READ, body))

    async def class_verdict(self, body: bytes, siblings: Sequence[bytes]) -> ReviewVerdict:
        return verdict_in(self._answer(JudgingKind.CLASS, class_question(body, siblings)))

    async def violations(self, item: ConnectorClass) -> tuple[Violation, ...]:
        return violations_in(self._answer(JudgingKind.VIOLATIONS, violations_question(item)))
