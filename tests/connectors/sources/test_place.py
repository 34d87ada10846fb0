from __future__ import annotations

import pytest

from connectors.sources.documents import read_yaml
from connectors.sources.place import Place, field_path

A = (1, None, (2, (3, ("b",), (4,))))
ROOT = Place(1, (0, ("a", "x.y/z"), (A, 5)))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 1),
        ("a", 2),
        ("a[0]", 3),
        ("a[1].b", 5),
        ("a[1].lacking", 4),
        ("a[9]", 2),
        ("a.b", 2),
        ("[x.y/z]", 6),
        ("q.r", 1),
    ],
)
def test_the_line_of_a_field_or_of_the_innermost_that_exists(path: str, line: int) -> None:
    assert ROOT.line_of(path) == line


def test_the_place_of_a_part() -> None:
    assert ROOT.below("a", "1").line == 4
    assert ROOT.below("a", "1").line_of("b") == 5
    assert ROOT.below("a", "7").line == ROOT.below("a").line == 2
    assert ROOT.below().line == 1


def test_objects_that_are_written_alike_share_their_lines() -> None:
    one, other = (read_yaml(b"\n" * lines + b"kind: A\nspec: {address: b}") for lines in (0, 99))
    assert one[0].place._node is other[0].place._node
    assert [place.line_of("spec.address") for place in (one[0].place, other[0].place)] == [2, 101]


@pytest.mark.parametrize(
    ("parent", "key", "path"),
    [
        ("", "spec", "spec"),
        ("spec", "auth", "spec.auth"),
        ("params", 0, "params[0]"),
        ("labels", "a.b/c", "labels[a.b/c]"),
    ],
)
def test_paths_read_as_kubectl_prints_them(parent: str, key: str | int, path: str) -> None:
    assert field_path(parent, key) == path
