"""What a machine lacks is skipped and named; nothing fails of it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from standalone.child import Child
from standalone.demo import CHECKOUT
from tests.peers.tools import NOT_DEBIANS, PACKAGES, path_without, program


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two folders that are on PATH, beside one that is not there."""
    made = [tmp_path / "first", tmp_path / "second"]
    for place in made:
        place.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join(map(str, [tmp_path / "gone", *made])))
    return made


def put(place: Path, name: str, mode: int = 0o755) -> Path:
    file = place / name
    file.write_text("#!/bin/sh\n", encoding="ascii")
    file.chmod(mode)
    return file


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_a_program_that_is_lacking_is_named_with_its_package(
    places: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    found = put(places[1], name)
    assert program(name) == str(found)
    (tmp_path / "bare").mkdir()
    monkeypatch.setenv("PATH", path_without([name], tmp_path / "bare"))
    with pytest.raises(pytest.skip.Exception, match=f"^lacking {name}: apt-get install {PACKAGES[name]}$"):
        program(name)


def test_a_path_without_some_programs_has_all_others(places: list[Path], tmp_path: Path) -> None:
    first, second = places
    both, kept = put(first, "both"), put(second, "kept")
    put(second, "both")
    put(second, "text", 0o644)
    for place in places:
        put(place, "lacking")
    (tmp_path / "bare").mkdir()
    path = path_without(["lacking", "unknown"], tmp_path / "bare")
    assert shutil.which("lacking", path=path) is None
    assert {entry.name: entry.readlink() for entry in Path(path).iterdir()} == {"both": both, "kept": kept}


async def test_the_option_takes_programs_away_and_the_list_at_the_end_names_them() -> None:
    tests = ["tests/peers/test_peers.py::test_the_shell_sees_every_argument", "tests/peers/test_api_server.py"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--without", "all", *tests]
    child = await Child.start("pytest", command, env={**os.environ, "KUBEBUILDER_ASSETS": "/somewhere"}, cwd=CHECKOUT)
    assert await child.wait() == 0, child.log
    assert (
        "lacking curl: apt-get install curl: 1 tests\n    tests/peers/test_peers.py::test_the_shell_sees" in child.log
    )
    assert all(f"lacking {name}" in child.log for name in NOT_DEBIANS)
