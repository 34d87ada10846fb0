from __future__ import annotations

import pytest

from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.violation import Violation
from controller.admission.class_memory import MOST, MOST_TEXT, MOST_VIOLATIONS, ClassMemory, content_key
from controller.admission.review import ClassReview, decode_review
from tests.controller.admission.reviews import Json, body, connector_class

BASE = connector_class(params=[{"name": "a"}])


def key_of(manifest: Json) -> bytes:
    review = decode_review(body(manifest))
    assert isinstance(review, ClassReview)
    assert review.new is not None
    return content_key(review.new.item)


@pytest.mark.parametrize(
    "same",
    [
        {**BASE, "metadata": {"name": "git", "labels": {"a": "b"}, "resourceVersion": "7", "generation": 3}},
        {**BASE, "metadata": {"name": "git", "annotations": {"other": "x"}}},
        {**BASE, "status": {"conditions": []}},
    ],
)
def test_t36_what_no_rule_reads_does_not_count(same: Json) -> None:
    assert key_of(same) == key_of(BASE)


@pytest.mark.parametrize(
    "other",
    [
        connector_class("other", params=[{"name": "a"}]),
        connector_class(params=[{"name": "b"}]),
        connector_class(params=[{"name": "a", "default": 1}]),
        connector_class(params=[{"name": "a", "default": "1"}]),
        connector_class(params=[{"name": "a"}], proxy={}),
        connector_class(metadata={"annotations": {RESOLVER_ANNOTATION: "path"}}, params=[{"name": "a"}]),
    ],
)
def test_t36_whatever_a_rule_reads_is_part_of_the_key(other: Json) -> None:
    assert key_of(other) != key_of(BASE)


def test_t36_the_memory_is_bounded() -> None:
    memory = ClassMemory()
    keys = [str(index).encode() for index in range(MOST)]
    for key in keys:
        memory.keep(key, (Violation("spec", key.decode()),))
    assert memory.recall(keys[0]) == (Violation("spec", "0"),)
    memory.keep(b"new", ())
    assert len(memory) == MOST
    assert memory.recall(b"new") == ()
    assert memory.recall(keys[1]) is None, "which was asked for longest ago"
    assert memory.recall(keys[0]) is not None


@pytest.mark.parametrize("long", [(Violation("a", "b"),) * (MOST_VIOLATIONS + 1), (Violation("a", "b" * MOST_TEXT),)])
def test_t36_what_is_long_is_not_kept(long: tuple[Violation, ...]) -> None:
    memory = ClassMemory()
    memory.keep(b"key", long)
    assert memory.recall(b"key") is None
