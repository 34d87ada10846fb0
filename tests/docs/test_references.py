"""What pages refer to exists: tests that guard something, other pages and their headings, files of the tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, codes, links, named_tests, pages, prose, rows, text

THREATS = "docs/threat-model.md"
NOT_YET = {17}
"""Threats that no test covers, since what they threaten, or what meets them, does not exist yet."""
SUBRESOURCES = {"connectors/proxy"}
"""What looks like a path and is a word of RBAC."""
INVENTED = {
    "connectors/credentials/NAME.py",
    "connectors/classes/NAME.yaml",
    "controller/plans/KIND.py",
    "bench/peers/NAME.py",
}
"""Paths with a place for the reader's own name."""


def functions(file: str) -> set[str]:
    path = ROOT / file
    if not path.is_file():
        return set()
    body = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("page", pages())
def test_named_tests_exist(page: str) -> None:
    for file, function in named_tests(text(page)):
        assert function in functions(file), f"{page} names {file}::{function}, which is not there"


def test_the_threat_model_covers_every_threat() -> None:
    table = rows(THREATS)
    assert [int(row[0]) for row in table] == list(range(1, 41))
    for row in table:
        number, tests = int(row[0]), named_tests(row[3])
        assert bool(tests) is (number not in NOT_YET), f"threat {number}"
        assert tests or "Not yet" in row[2], f"threat {number}: say what it arrives with"


def test_named_tests_of_a_threat_are_of_that_threat() -> None:
    for row in rows(THREATS):
        others = [name for _, name in named_tests(row[3]) if name.startswith("test_t")]
        assert all(name.startswith(f"test_t{int(row[0]):02}_") for name in others), f"threat {row[0]}"


def test_every_threat_that_has_tests_names_one() -> None:
    tested = {
        int(name[6:8])
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in functions(path.relative_to(ROOT).as_posix())
        if name.startswith("test_t") and name[6:8].isdigit()
    }
    assert not tested & NOT_YET, "these threats have tests now; name them in docs/threat-model.md"


def test_every_invariant_has_a_test() -> None:
    invariants = rows("SECURITY.md", "Invariants")
    assert len(invariants) > 10
    assert all(named_tests(row[1]) for row in invariants)


@pytest.mark.parametrize("page", pages())
def test_links(page: str) -> None:
    for link in links(page):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page} links to {link}"
        if anchor:
            name = path.resolve().relative_to(ROOT).as_posix()
            assert anchor in anchors(name), f"{page} links to {link}, but {name} has no such heading"


@pytest.mark.parametrize("page", pages())
def test_files_that_are_named_exist(page: str) -> None:
    roots = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for code in codes(prose(page)):
        first, _, rest = code.partition("/")
        if (
            not rest
            or first not in roots
            or "::" in code
            or " " in code
            or "NAME" in code
            or code in INVENTED | SUBRESOURCES
        ):
            continue
        assert list(ROOT.glob(code.rstrip("/"))), f"{page} names {code}, which is not there"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set[str](), ["README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        for link in links(page):
            path = ((ROOT / page).parent / link.partition("#")[0]).resolve()
            ahead += [name for name in _pages_at(path) if name not in seen]
    assert seen == set(pages())


def _pages_at(path: Path) -> list[str]:
    """The page, or the pages of a folder that is linked as a whole."""
    found = [path] if path.suffix == ".md" else sorted(path.glob("*.md"))
    return [item.relative_to(ROOT).as_posix() for item in found if item.is_file()]
