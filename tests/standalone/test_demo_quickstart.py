from __future__ import annotations

import json
from pathlib import Path

import pytest

from standalone.demo import (
    ADDRESS,
    MANIFESTS,
    QuickstartError,
    Seen,
    copy_manifests,
    login,
    read_journal,
    require_tools,
    search_path,
)
from tests.peers.tools import program


def test_login_is_what_the_secret_says() -> None:
    assert dict(login(MANIFESTS)) == {"username": "demo", "password": "correct-horse-battery-staple"}


def test_login_without_the_secret_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(QuickstartError, match=f"no Secret demo-git below {tmp_path}"):
        login(tmp_path)


def test_copy_has_the_other_address_and_the_example_keeps_its_own(tmp_path: Path) -> None:
    copy = copy_manifests(tmp_path, "http://127.0.0.1:4711/git")
    assert 'address: "http://127.0.0.1:4711/git"' in (copy / "git.yaml").read_text(encoding="utf-8")
    assert ADDRESS not in (copy / "git.yaml").read_text(encoding="utf-8")
    assert f'address: "{ADDRESS}"' in (MANIFESTS / "git.yaml").read_text(encoding="utf-8")
    assert {path.name for path in copy.iterdir()} == {path.name for path in MANIFESTS.iterdir()}


def test_journal_shows_the_credential_masked(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    assert read_journal(journal) == []
    entry = {"method": "GET", "path": "/a", "headers": [["authorization", "Basic ********"]], "authorized": True}
    bare = {"method": "GET", "path": "/b", "headers": [["Host", "h"]], "authorized": False}
    journal.write_text(f"{json.dumps(entry)}\n{json.dumps(bare)}\n", encoding="utf-8")
    assert read_journal(journal) == [Seen("GET", "/a", "Basic ********", True), Seen("GET", "/b", "", False)]


def test_tools_are_there_where_git_is() -> None:
    git = program("git")
    require_tools()
    assert str(Path(git).parent) in search_path().split(":")
