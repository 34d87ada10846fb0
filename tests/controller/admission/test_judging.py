from __future__ import annotations

import dataclasses
import json

import msgspec
import pytest

from controller.admission.judge import Sibling, judge_class, known
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
from controller.admission.review import ClassReview, ConnectorReview, ReviewError, decode_review
from controller.admission.verdict import ReviewVerdict
from tests import builders
from tests.controller.admission.reviews import Json, body, connector, connector_class

BROKEN = connector_class(params=[{"name": "a", "type": "number"}])
GOOD = connector_class(params=[{"name": "new"}])
OLD = connector_class()
AUTH = {"name": "a", "secretRef": {"name": "login"}}
MALFORMED = {**connector(), "spec": {"address": 1}}


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (connector(auth=AUTH, caCertSecretRef={"name": "ca"}), None),
        (connector(params=[{"name": "a", "value": 10**30}, {"name": "b", "value": [None, 1.5, {"x": "é"}]}]), None),
        (connector(auth=AUTH), connector()),
        (connector(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}), connector()),
        (MALFORMED, connector()),
        (None, connector()),
    ],
)  # fmt: skip
def test_a_review_arrives_as_it_was_read(new: Json | None, old: Json | None) -> None:
    asked = body(new, old)
    assert review_in(Judging().answer(JudgingKind.READ, asked)) == decode_review(asked)


def test_a_status_is_left_out() -> None:
    asked = body({**connector(), "status": {"conditions": []}})
    expected = decode_review(asked)
    assert isinstance(expected, ConnectorReview)
    assert expected.new is not None
    found = review_in(Judging().answer(JudgingKind.READ, asked))
    assert found.new == dataclasses.replace(expected.new, status=None)


@pytest.mark.parametrize(("new", "old"), [(GOOD, None), (BROKEN, OLD), (None, OLD), (OLD, OLD)])
def test_of_a_class_s_review_all_but_the_specs_arrives(new: Json | None, old: Json | None) -> None:
    asked = body(new, old)
    found, expected = review_in(Judging().answer(JudgingKind.READ, asked)), decode_review(asked)
    assert isinstance(found, ClassReview)
    assert isinstance(expected, ClassReview)
    assert (found.head, found.same_spec, found.let_through) == (
        expected.head, expected.same_spec, expected.let_through,
    )  # fmt: skip
    for bare, whole in ((found.new, expected.new), (found.old, expected.old)):
        assert (bare is None) == (whole is None)
        if bare is not None and whole is not None:
            assert bare.item.metadata == whole.item.metadata
            assert bare.item.spec.params == ()


@pytest.mark.parametrize(
    ("new", "old"),
    [(GOOD, None), (BROKEN, None), (BROKEN, OLD), (GOOD, OLD), (BROKEN, BROKEN), ({**OLD, "spec": []}, OLD)],
)
def test_t36_a_verdict_is_the_same_at_first_and_remembered(new: Json, old: Json | None) -> None:
    siblings = [Sibling(builders.connector("tool", connectorClassName="git"), broken) for broken in (False, True)]
    asked = body(new, old)
    review = decode_review(asked)
    assert isinstance(review, ClassReview)
    expected = judge_class(review, siblings)
    judging = Judging()
    question = class_question(asked, [json_of(item) for item in siblings])
    for _ in range(3):
        assert verdict_in(judging.answer(JudgingKind.CLASS, question)) == expected
        review_of_another = body(connector_class("other"))
        judging.answer(JudgingKind.CLASS, class_question(review_of_another, []))


def json_of(item: Sibling) -> bytes:
    return msgspec.json.encode(item)


@pytest.mark.parametrize("manifest", [GOOD, BROKEN])
def test_what_is_wrong_with_a_class(manifest: Json) -> None:
    review = decode_review(body(manifest))
    assert isinstance(review, ClassReview)
    assert review.new is not None
    judging = Judging()
    for _ in range(2):
        answer = judging.answer(JudgingKind.VIOLATIONS, violations_question(review.new.item))
        assert violations_in(answer) == known(review.new).violations


@pytest.mark.parametrize("raw", [b"", b"{}", b"[" * 100_000])
def test_what_is_no_review(raw: bytes) -> None:
    with pytest.raises(ReviewError):
        review_in(Judging().answer(JudgingKind.READ, raw))
    with pytest.raises(ReviewError):
        verdict_in(Judging().answer(JudgingKind.CLASS, class_question(raw, [])))
    with pytest.raises(ReviewError, match="not about a class"):
        verdict_in(Judging().answer(JudgingKind.CLASS, class_question(body(connector()), [])))


def test_an_error_that_nobody_expected_quotes_nothing() -> None:
    found = Judging().answer(JudgingKind.VIOLATIONS, json.dumps({"metadata": "canary"}).encode())
    assert found == (JudgingKind.FAILED, b"ValidationError")


@pytest.mark.parametrize("frame", [(JudgingKind.FAILED, b"x"), (JudgingKind.READY, b"")])
def test_an_answer_of_another_kind_is_none(frame: Frame) -> None:
    for read in (review_in, verdict_in, violations_in):
        with pytest.raises(ValueError, match="not"):
            read(frame)


def test_an_answer_that_is_broken_lets_nothing_through() -> None:
    with pytest.raises(ValueError, match="missing"):
        verdict_in((JudgingKind.VERDICT, b'{"denial": {}}'))
    assert verdict_in((JudgingKind.VERDICT, b"{}")) == ReviewVerdict()
