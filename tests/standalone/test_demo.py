"""`connectors demo` as a user runs it."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from standalone.child import Child
from standalone.demo import CHECKOUT, MANIFESTS, login, search_path
from tests.peers.tools import program

COMMAND = (sys.executable, "-m", "standalone", "demo")


async def demo(tmp_path: Path, path: str | None = None) -> Child:
    env = {"PATH": path or search_path(), "TMPDIR": str(tmp_path)}
    return await Child.start("the demo", COMMAND, env=env, cwd=CHECKOUT)


@pytest.mark.e2e
@pytest.mark.git
async def test_demo_clones_and_pushes_and_cleans_up(tmp_path: Path) -> None:
    program("git")
    child = await demo(tmp_path)
    assert await child.wait() == 0, child.log
    for shown in (
        "ready: 2 connectors on http://127.0.0.1:",
        "git clone http://c-demo.default.localhost:",
        "main -> main",
        "Through the Connector",
        "Authorization: Basic ******** -> accepted",
        "no Authorization among them",
        "Done: cloned and pushed, and git never had the password.",
    ):
        assert shown in child.log
    assert login(MANIFESTS)["password"] not in child.log
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
@pytest.mark.git
async def test_demo_ends_its_processes_when_it_is_stopped(tmp_path: Path) -> None:
    program("git")
    child = await demo(tmp_path)
    await child.line("^2\\. ")
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    started = [int(word) for word in children.read_text(encoding="ascii").split()]
    assert started
    assert await child.stop() == 128 + signal.SIGINT
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
    assert list(tmp_path.iterdir()) == []


async def test_demo_without_git_says_what_to_install(tmp_path: Path) -> None:
    child = await demo(tmp_path, path="/nonexistent")
    assert await child.wait() == 1
    assert child.log == "the demo cannot run: git is not installed; on Debian and Ubuntu: apt-get install git"


@pytest.mark.e2e
@pytest.mark.git
async def test_demo_that_fails_names_the_step_and_shows_the_logs(tmp_path: Path) -> None:
    git = program("git")
    broken = tmp_path / "bin" / "git"
    broken.parent.mkdir()
    broken.write_text(f'#!/bin/sh\ncase "$*" in *push*origin*) exit 3;; esac\nexec {git} "$@"\n', encoding="utf-8")
    broken.chmod(0o755)
    child = await demo(tmp_path, path=f"{broken.parent}{os.pathsep}{os.defpath}")
    assert await child.wait() == 1
    assert "the demo failed in step 4 (git commit and git push, without any credential): git push" in child.log
    assert "ended with exit code 3" in child.log
    assert "--- output of connectors serve ---\n" in child.log
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
