from __future__ import annotations

import pytest

from connectors.objects.ceilings import (
    CEILING_ANNOTATIONS,
    NO_CEILINGS,
    Ceiling,
    Ceilings,
    annotated_ceilings,
    ceiling_problem,
)

REQUESTS, CONNECTIONS, RATE = CEILING_ANNOTATIONS


def test_they_are_labels_that_prometheus_takes() -> None:
    assert all(ceiling.value.replace("_", "").isalpha() for ceiling in Ceiling)


def test_annotations_are_named_as_what_they_lower() -> None:
    assert len(CEILING_ANNOTATIONS) == len(Ceiling) == len(NO_CEILINGS)
    for name, ceiling in CEILING_ANNOTATIONS.items():
        assert name == f"connectors.cpaas.io/max-{ceiling.value.replace('_', '-')}"


@pytest.mark.parametrize(
    ("one", "other", "lower"),
    [
        (Ceilings(10, 10, 10), Ceilings(5, 20, 0), Ceilings(5, 10, 10)),
        (Ceilings(10, 10, 0), Ceilings(0, 0, 7), Ceilings(10, 10, 7)),
        (NO_CEILINGS, NO_CEILINGS, NO_CEILINGS),
    ],
)
def test_t33_the_lower_one_counts_whichever_says_it(one: Ceilings, other: Ceilings, lower: Ceilings) -> None:
    assert one.lowered(other) == other.lowered(one) == lower


def test_each_process_has_its_share_and_never_none() -> None:
    assert Ceilings(10, 1, 0).share(4) == Ceilings(3, 1, 0)
    assert Ceilings(10, 1, 0).share(1) == Ceilings(10, 1, 0)


def test_what_annotations_say() -> None:
    assert annotated_ceilings({}) is NO_CEILINGS
    assert annotated_ceilings({"a": "1"}) is NO_CEILINGS
    assert annotated_ceilings({CONNECTIONS: "4"}) == Ceilings(connections=4)
    assert annotated_ceilings({REQUESTS: "3", CONNECTIONS: "4", RATE: "5"}) == Ceilings(3, 4, 5)
    assert annotated_ceilings({REQUESTS: "many"}) == Ceilings(requests=1)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.5", "1e3", " 1", "1\n", "01", "1_0", "\u0661", "9" * 10, "9" * 5000]
)
def test_what_is_no_number_of_them(text: str) -> None:
    assert ceiling_problem(text)


@pytest.mark.parametrize("text", ["1", "10", "999999999"])
def test_what_is_one(text: str) -> None:
    assert ceiling_problem(text) is None
