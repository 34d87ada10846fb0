from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.docs.pages import text
from tests.docs.pictures import PICTURES, Picture, drawn, place_of
from tests.peers.depth import RECONCILE, WARM_REQUEST

PAGE = "docs/architecture.md"


@pytest.mark.parametrize("name", PICTURES)
def test_it_shows_what_the_code_imports(name: str) -> None:
    made = drawn(PICTURES[name]())
    assert place_of(name).read_text(encoding="utf-8") == made, "draw it again: make pictures"
    assert place_of(name).name in text(PAGE)


def test_a_line_stands_for_each_import_that_no_other_makes_needless() -> None:
    graph = {"a.x": frozenset({"a.y", "a.z"}), "a.y": frozenset({"a.z"}), "a.z": frozenset[str]()}
    root = ElementTree.fromstring(  # noqa: S314 - of our own making
        drawn(Picture("T", graph, {"a.x": "<note>"}, frozenset({"a.z"})))
    )
    svg = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f"{svg}path")) == 2
    assert [group.findtext(f"{svg}title") for group in root.findall(f"{svg}g")] == ["a.x", "a.y", "a.z"]
    assert [box.get("fill") for box in root.iter(f"{svg}rect")].count("#ffe08a") == 1
    assert "<note>" in "".join(root.itertext())


@pytest.mark.parametrize("way", [WARM_REQUEST, RECONCILE])
def test_the_page_names_the_files_in_their_order(way: tuple[str, ...]) -> None:
    rows = re.findall(r"^\| \d+ \| \[`([^`]+)`\]", text(PAGE), re.MULTILINE)
    assert [row for row in rows if row in way] == list(way)
