from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from standalone.paths import path_problem

NOBODY = 65534
ADVICE = "give a directory of manifests, or a file, that this user may read"


@contextmanager
def unprivileged() -> Iterator[None]:
    """For a moment not root, who may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_directory_and_a_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.touch()
    assert path_problem([tmp_path, file]) is None


def test_the_first_missing_one_is_named(tmp_path: Path) -> None:
    problem = path_problem([tmp_path, tmp_path / "nope", tmp_path / "no"])
    assert problem == f"{tmp_path / 'nope'}: No such file or directory; {ADVICE}"


@pytest.mark.parametrize("directory", [True, False], ids=["directory", "file"])
def test_a_path_that_may_not_be_read(tmp_path: Path, directory: bool) -> None:
    closed = tmp_path / "closed"
    if directory:
        closed.mkdir(mode=0)
    else:
        closed.touch(mode=0)
    with unprivileged():
        assert path_problem([closed]) == f"{closed}: Permission denied; {ADVICE}"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert path_problem([tmp_path / "pipe"]) == f"{tmp_path / 'pipe'}: is neither a directory nor a file"
