"""What is judged in a process of its own, and how both ends say it. Pure.

CEL compiles under the interpreter's lock, and a review may hold a megabyte of anything: neither may hold up the process
that keeps the Lease and answers everybody else.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

import msgspec

from connectors.objects.connector_class import ConnectorClass
from connectors.objects.violation import Violation
from connectors.rules.connector_class import validate_connector_class
from connectors.sources.api_objects import HeldClass, HeldConnector
from controller.admission.class_memory import ClassMemory, content_key
from controller.admission.judge import Known, Sibling, judge_class
from controller.admission.review import ClassReview, ConnectorReview, Review, ReviewError, decode_review
from controller.admission.verdict import ReviewVerdict

_LENGTH = struct.Struct(">I")


class JudgingKind(IntEnum):
    """What a frame holds: a question, or the answer to it."""

    READY = 0  # the process has begun
    READ = 1  # a review's body -> what it asks
    CLASS = 2  # the body of a class's review and its Connectors -> the verdict
    VIOLATIONS = 3  # a class -> what is wrong with it
    CONNECTOR_REVIEW = 4
    CLASS_REVIEW = 5
    VERDICT = 6
    NO_REVIEW = 7  # why the body is none
    FAILED = 8  # an error that no code of ours expected


Frame = tuple[JudgingKind, bytes]

_SIBLINGS = msgspec.json.Decoder(list[Sibling])
_CLASS = msgspec.json.Decoder(ConnectorClass)
_FOUND = msgspec.json.Decoder(tuple[Violation, ...])
_VERDICT = msgspec.json.Decoder(ReviewVerdict)
_CONNECTOR_REVIEW = msgspec.json.Decoder(ConnectorReview)
_CLASS_REVIEW = msgspec.json.Decoder(ClassReview)


class Judging:
    """Answers one question after the other."""

    def __init__(self) -> None:
        self._memory = ClassMemory()

    def answer(self, kind: int, payload: bytes) -> Frame:
        """The answer to a question of READ, CLASS or VIOLATIONS. Its text quotes nothing that cannot be read."""
        try:
            if kind == JudgingKind.VIOLATIONS:
                return JudgingKind.VIOLATIONS, msgspec.json.encode(self._violations(_CLASS.decode(payload)))
            if kind == JudgingKind.READ:
                return _told(decode_review(payload))
            return JudgingKind.VERDICT, msgspec.json.encode(self._verdict(payload))
        except ReviewError as error:
            return JudgingKind.NO_REVIEW, str(error).encode()
        except Exception as error:  # noqa: BLE001 - one review that no code of ours expected must not stop the next
            return JudgingKind.FAILED, type(error).__name__.encode()

    def _verdict(self, payload: bytes) -> ReviewVerdict:
        (length,) = _LENGTH.unpack_from(payload)
        review = decode_review(payload[_LENGTH.size : _LENGTH.size + length])
        if not isinstance(review, ClassReview):
            raise ReviewError("it is not about a class")
        siblings = _SIBLINGS.decode(payload[_LENGTH.size + length :])
        return judge_class(review, siblings, self._known(review))

    def _known(self, review: ClassReview) -> Known | None:
        if review.new is None:
            return None
        malformed = review.new.malformed
        return Known(review.new.item, (malformed,) if malformed else self._violations(review.new.item))

    def _violations(self, item: ConnectorClass) -> tuple[Violation, ...]:
        key = content_key(item)
        found = self._memory.recall(key)
        if found is None:
            found = validate_connector_class(item)
            self._memory.keep(key, found)
        return found


def class_question(body: bytes, siblings: Sequence[bytes]) -> bytes:
    """The payload of CLASS; `siblings` are Siblings in JSON."""
    return b"".join((_LENGTH.pack(len(body)), body, b"[", b",".join(siblings), b"]"))


def violations_question(item: ConnectorClass) -> bytes:
    """The payload of VIOLATIONS."""
    return msgspec.json.encode(item)


def _told(review: Review) -> Frame:
    """Without statuses, and without the specs of classes, which only the verdict needs: they have megabytes."""
    head, same = review.head, review.same_spec
    if isinstance(review, ConnectorReview):
        told = ConnectorReview(head, _without_status(review.new), _without_status(review.old), same)
        return JudgingKind.CONNECTOR_REVIEW, msgspec.json.encode(told)
    return JudgingKind.CLASS_REVIEW, msgspec.json.encode(ClassReview(head, _bare(review.new), _bare(review.old), same))


def _without_status(held: HeldConnector | None) -> HeldConnector | None:
    return held and replace(held, status=None)


def _bare(held: HeldClass | None) -> HeldClass | None:
    return held and replace(held, status=None, item=ConnectorClass(metadata=held.item.metadata))


def review_in(frame: Frame) -> Review:
    """The answer to READ; a class's has no spec.

    Raises:
        ReviewError: the body is no review.
        ValueError: it is no such answer.
    """
    kind, payload = frame
    if kind == JudgingKind.NO_REVIEW:
        raise ReviewError(payload.decode())
    if kind == JudgingKind.CONNECTOR_REVIEW:
        return _CONNECTOR_REVIEW.decode(payload)
    if kind == JudgingKind.CLASS_REVIEW:
        return _CLASS_REVIEW.decode(payload)
    raise ValueError("not what a review asks")


def verdict_in(frame: Frame) -> ReviewVerdict:
    """The answer to CLASS.

    Raises:
        ReviewError: the body is no review of a class.
        ValueError: it is no such answer.
    """
    kind, payload = frame
    if kind == JudgingKind.NO_REVIEW:
        raise ReviewError(payload.decode())
    if kind != JudgingKind.VERDICT:
        raise ValueError("not a verdict")
    return _VERDICT.decode(payload)


def violations_in(frame: Frame) -> tuple[Violation, ...]:
    """The answer to VIOLATIONS.

    Raises:
        ValueError: it is no such answer.
    """
    kind, payload = frame
    if kind != JudgingKind.VIOLATIONS:
        raise ValueError("not what is wrong with a class")
    return _FOUND.decode(payload)
