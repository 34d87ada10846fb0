from __future__ import annotations

from http import HTTPStatus

import pytest

from connectors.objects.violation import Severity, Violation
from controller.admission.verdict import (
    MAX_CAUSES,
    MAX_WARNING,
    MAX_WARNINGS,
    ReviewVerdict,
    denied,
    flat,
    judged,
    naming,
    tolerated,
    warned,
)

ERROR = Violation("spec.address", "is missing")
OTHER = Violation("metadata.name", "is odd")
WARNING = Violation("spec.params[0].name", "belongs elsewhere", Severity.WARNING)


def test_nothing_wrong() -> None:
    assert judged(()) == ReviewVerdict()
    assert judged(()).allowed


def test_warnings_let_through() -> None:
    assert judged((WARNING,)) == ReviewVerdict(warnings=("spec.params[0].name: belongs elsewhere",))


def test_every_error_is_told_beside_every_warning() -> None:
    verdict = judged((ERROR, WARNING, OTHER))
    assert verdict.denial is not None
    assert (verdict.denial.code, verdict.denial.reason) == (422, "Invalid")
    assert verdict.denial.message == "spec.address: is missing; metadata.name: is odd"
    assert verdict.denial.causes == (ERROR, OTHER)
    assert verdict.warnings == ("spec.params[0].name: belongs elsewhere",)
    assert not verdict.allowed


def test_what_is_tolerated_is_told() -> None:
    assert tolerated((ERROR, WARNING)) == ReviewVerdict(
        warnings=("spec.address: is missing", "spec.params[0].name: belongs elsewhere")
    )


def test_thousands_of_violations_make_no_answer_of_megabytes() -> None:
    denial = denied(HTTPStatus.UNPROCESSABLE_ENTITY, "Invalid", [ERROR] * 5000)
    assert len(denial.causes) == MAX_CAUSES
    assert denial.message.endswith(f"; and {5000 - MAX_CAUSES} more")


@pytest.mark.parametrize(("text", "expected"), [("a\r\nX: b", "a X: b"), ("\x1b[31m", " [31m"), ("ü\ud800\x85", "ü ")])
def test_nobody_writes_a_second_line(text: str, expected: str) -> None:
    assert flat(text) == expected
    assert warned([text]) == (expected,)
    assert denied(HTTPStatus.FORBIDDEN, "Forbidden", [Violation(text, "m")]).message == f"{expected}: m"


def test_warnings_are_short_and_few() -> None:
    lines = warned(["x" * 1000] * 50)
    assert len(lines) == MAX_WARNINGS
    assert {len(line) for line in lines[:-1]} == {MAX_WARNING}
    assert lines[-1] == "and 31 more warnings"


def test_names_fit_into_lines() -> None:
    names = [f"{'n' * 63}/{'c' * 50}-{index:02}" for index in range(13)]
    lines = naming("13 Connectors are harmed", names)
    assert all(len(line) <= MAX_WARNING for line in lines)
    assert not any("…" in line for line in lines)
    told = " ".join(lines)
    assert [name in told for name in names] == [True] * 10 + [False] * 3
    assert told.endswith("and 3 more")


def test_one_name() -> None:
    assert naming("1 Connectors", ["a/b"]) == ("1 Connectors: a/b",)
    assert naming("2 Connectors", ["a/b", "a/c"]) == ("2 Connectors: a/b, a/c",)
