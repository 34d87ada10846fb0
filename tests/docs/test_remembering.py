"""The numbered promises of docs/decisions/remembering.md, and the tests that bear their numbers."""

from __future__ import annotations

import re

from tests.mutation.mutations import ROOT, mutations

PROMISED = re.compile(r"^([0-9]+)\. ", re.MULTILINE)
TESTED = re.compile(r"_r([0-9]{2})(?=_)")


def promises() -> set[int]:
    text = (ROOT / "docs" / "decisions" / "remembering.md").read_text(encoding="utf-8")
    return {int(number) for number in PROMISED.findall(text)}


def test_each_promise_has_tests_and_each_test_a_promise() -> None:
    folder = ROOT / "tests" / "proxy" / "transcripts" / "remembering"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("test_*.py"))
    names = re.findall(r"def (test\w+)", text)
    assert {int(number) for name in names for number in TESTED.findall(name)} == promises()


def test_mutations_are_of_promises() -> None:
    assert {int(mutation.name[1:3]) for mutation in mutations()} <= promises()
