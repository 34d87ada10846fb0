from __future__ import annotations

import pytest

from connectors.sources.place import Place, field_path

ROOT = Place(1, {"a": Place(2, [Place(3), Place(4, {"b": Place(5)})]), "x.y/z": Place(6)})


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
