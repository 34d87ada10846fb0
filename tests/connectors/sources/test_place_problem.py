from __future__ import annotations

import pytest

from connectors.objects.violation import Severity, Violation
from connectors.sources.place import Identity, Problem, about_file

SAYS = Violation("spec.address", "is empty")


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (
            Problem("a.yaml", 7, Identity("Connector", "ns", "x"), SAYS),
            "a.yaml:7: Connector ns/x: spec.address: is empty",
        ),
        (
            Problem("a.yaml", 7, Identity("ConnectorClass", "", "git"), SAYS),
            "a.yaml:7: ConnectorClass git: spec.address: is empty",
        ),
        (Problem("a.yaml", 1, Identity("Secret", "ns", ""), SAYS), "a.yaml:1: Secret ns/: spec.address: is empty"),
        (about_file("a.yaml", 3, "not YAML"), "a.yaml:3: not YAML"),
        (about_file("a.yaml", 0, "is too large"), "a.yaml: is too large"),
    ],
)
def test_one_line_a_problem(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_its_severity_is_the_violations() -> None:
    assert about_file("a", 1, "x").severity is Severity.ERROR
