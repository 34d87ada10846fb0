"""Mutations name code and tests that exist: what becomes of either is followed here, or `make mutate` finds nothing."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutation.mutations import ROOT, Edit, Mutation, mutations
from tests.mutation.run import TESTS, is_noticed

ALL = mutations()
NAMES = [mutation.name for mutation in ALL]


def test_names_are_unique_and_begin_with_an_invariant() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert all(name[0] == "r" and 1 <= int(name[1:3]) <= 25 for name in NAMES)


@pytest.mark.parametrize("mutation", ALL, ids=NAMES)
def test_what_is_changed_is_there_once_and_stays_python(mutation: Mutation) -> None:
    texts = {edit.path: (ROOT / edit.path).read_text(encoding="utf-8") for edit in mutation.edits}
    for edit in mutation.edits:
        texts[edit.path] = edit.of(texts[edit.path])
    for text in texts.values():
        ast.parse(text)


@pytest.mark.parametrize("mutation", ALL, ids=NAMES)
def test_its_tests_are_there(mutation: Mutation) -> None:
    assert mutation.tests
    assert all((ROOT / TESTS / test.partition("::")[0]).is_file() for test in mutation.tests)


@pytest.mark.parametrize(("new", "noticed"), [("1 + 2", True), ("2 + 0", False)])
def test_a_mutation_is_noticed_where_a_test_fails_and_the_tree_is_put_right(
    tmp_path: Path, new: str, noticed: bool
) -> None:
    code = "SUM = 1 + 1\n"
    (tmp_path / "added.py").write_text(code, encoding="utf-8")
    test = "import added\n\n\ndef test_sum():\n    assert added.SUM == 2\n"
    (tmp_path / "test_added.py").write_text(test, encoding="utf-8")
    mutation = Mutation("r01 sums", ("test_added.py",), (Edit("added.py", "1 + 1", new),))
    assert is_noticed(mutation, tmp_path, Path()) is noticed
    assert (tmp_path / "added.py").read_text(encoding="utf-8") == code


def test_a_mutation_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="stands there 0 times"):
        Edit("x.py", "b", "c").of("a")
