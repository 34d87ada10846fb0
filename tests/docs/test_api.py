"""docs/api.md lists the fields of the CRDs: all of them, no others, with their types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.deploy.crds import CRDS, crd_fields
from tests.docs.pages import codes, rows

PAGE = "docs/api.md"
_SHAPE = re.compile(r"\[([a-z ]+)\]\(#([a-z-]+)\)")
_FREE_OF_NAME = "spec.address.name"
"""A parameter's name is required everywhere but here: published classes leave it out."""


class Row(NamedTuple):
    path: str
    type: str
    required: bool


def documented(heading: str, path: str = "") -> Iterator[Row]:
    """The rows below a heading; those of a shape (parameter, probe...) followed by the rows of that shape."""
    for name, words, meaning in rows(PAGE, heading):
        assert meaning
        where = path + codes(name)[0]
        kind, _, required = words.partition(", ")
        assert required in ("", "required")
        shape = _SHAPE.search(kind)
        yield Row(where, _SHAPE.sub("object", kind), bool(required) and where != _FREE_OF_NAME)
        if shape:
            inside = f"{where}[]." if kind.startswith("list of ") else f"{where}."
            yield from documented(shape[2].replace("-", " ").capitalize(), inside)


@pytest.mark.parametrize("kind", CRDS)
def test_fields(kind: str) -> None:
    listed = list(documented(kind))
    assert len(listed) == len({row.path for row in listed})
    assert set(listed) == {Row(field.path, field.type, field.required) for field in crd_fields(kind).values()}


@pytest.mark.parametrize("kind", CRDS)
def test_meanings_are_those_that_kubectl_explains(kind: str) -> None:
    fields = crd_fields(kind)
    for name, _, meaning in rows(PAGE, kind):
        assert meaning.replace("\\|", "|") == fields[codes(name)[0]].schema["description"]
