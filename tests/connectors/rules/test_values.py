from __future__ import annotations

from typing import Any

import pytest

from connectors.objects.connector import NamedValue
from connectors.objects.connector_class import ParameterSpec
from connectors.rules.values import given, known, string_problem, validate_declared, validate_given

DECLARED = (
    ParameterSpec(name="needed"),
    ParameterSpec(name="level", default="low", enum=("low", "high")),
    ParameterSpec(name="free", default=""),
)


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([NamedValue("a", "x"), NamedValue("b", "")], []),
        ([NamedValue("", "x")], ["p[0].name: is missing"]),
        ([NamedValue("a", "x"), NamedValue("a", "y")], ['p[1].name: "a" stands at p[0] already']),
        ([NamedValue("a", False)], ["p[0].value: must be a string; put it in quotes"]),
        ([NamedValue("a")], ["p[0].value: is missing"]),
    ],
)
def test_items_by_themselves(items: list[NamedValue], said: list[str]) -> None:
    found = [str(violation) for violation in validate_given(given("p", items))]
    assert [text[: len(start)] for text, start in zip(found, said, strict=True)] == said


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([NamedValue("needed", "x")], []),
        ([NamedValue("needed", "x"), NamedValue("level", "high"), NamedValue("free", "y")], []),
        ([], ['p: lacks "needed", for which the class has no default; add it']),
        (
            [NamedValue("needed", "x"), NamedValue("other", "x")],
            ['p[1].name: the class does not declare "other"; it declares: needed, level, free'],
        ),
        (
            [NamedValue("needed", "x"), NamedValue("level", "mid")],
            ["p[1].value: is not allowed; use one of: low, high"],
        ),
    ],
)
def test_items_against_the_class(items: list[NamedValue], said: list[str]) -> None:
    assert [str(violation) for violation in validate_declared("p", given("p", items), DECLARED)] == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", None),
        ("x", None),
        (None, "missing"),
        (True, "quotes"),
        (1, "quotes"),
        (1.5, "quotes"),
        ([], "list"),
        ({}, "list"),
    ],
)
def test_what_is_a_string(value: Any, said: str | None) -> None:
    problem = string_problem(value)
    assert problem is None if said is None else said in (problem or "")


def test_known_names() -> None:
    assert known(["a", "b"]) == "it declares: a, b"
    assert known([]) == "it declares none, so remove it"
