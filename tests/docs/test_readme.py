"""The README's commands: the two of them, and the quickstart as far as it can run without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from standalone import demo
from tests.docs.pages import ROOT, blocks, pages, text
from tests.peers.tools import program

PROMPT = re.compile(r"^\$ (.*?)(?:\s+#.*)?$", re.MULTILINE)


def commands(page: str) -> list[str]:
    return [command for block in blocks(page, "console") for command in PROMPT.findall(block.text)]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_exactly_two_commands() -> None:
    assert [command for command in commands("README.md") if not command.startswith("kubectl ")] == [
        "make demo",
        "make test",
    ]


@pytest.mark.parametrize("page", pages())
def test_make_targets_exist(page: str) -> None:
    named = {command.removeprefix("make ") for command in commands(page) if command.startswith("make ")}
    named |= set(re.findall(r"`make ([a-z-]+)`", text(page)))
    assert named <= targets()


def test_the_readme_counts_the_test_functions() -> None:
    """Give or take one in twenty, so that not every change has to count again; cases are counted by collecting."""
    written = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    functions = sum(len(re.findall(r"^(?:async )?def test_", source, re.MULTILINE)) for source in written)
    said = re.search(r"([0-9,]+) test functions, which make ([0-9,]+) cases \(`make count`", text("README.md"))
    assert said
    told, cases = (int(number.replace(",", "")) for number in said.groups())
    assert abs(told - functions) < functions / 20, f"`make count` says how many there are: about {functions}"
    assert cases > told


def test_the_demos_output_has_the_steps_of_the_demo() -> None:
    shown = blocks("README.md", "console")[0].text
    source = Path(demo.__file__).read_text(encoding="utf-8")
    steps = re.findall(r'stage\.begin\("([^"]+)"\)', source.partition("async def _serve")[0])
    assert re.findall(r"^\d+\. (.*)$", shown, re.MULTILINE) == steps
    assert re.findall(r'print\("\\n(Done: [^"]+)"\)', source)[0] in shown


def connectors(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the console script's module in `folder`."""
    env = {"PYTHONPATH": str(ROOT), "PATH": os.defpath}
    command = [sys.executable, "-m", "standalone", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_the_quickstarts_manifests_are_valid(tmp_path: Path) -> None:
    lines = blocks("README.md", "sh")[0].text.splitlines()
    assert lines[1:3] == ["connectors validate manifests", "connectors serve manifests &"]
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "github.yaml").write_text(blocks("README.md", "yaml")[0].text, encoding="utf-8")
    ended = connectors(tmp_path, "validate", "manifests")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_example_of_a_violation_is_printed_so(tmp_path: Path) -> None:
    command, expected = blocks("docs/validation.md", "console")[0].text.splitlines()
    manifest = (
        "apiVersion: connectors.alauda.io/v1alpha1\nkind: Connector\nmetadata:\n  name: tool\nspec:\n"
        "  connectorClassName: generic\n  address: https://user:password@tool.example\n"
    )
    (tmp_path / "bad.yaml").write_text(manifest, encoding="utf-8")
    ended = connectors(tmp_path, *command.removeprefix("$ connectors ").split())
    assert (ended.returncode, ended.stdout.strip()) == (1, expected)


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page, "sh")])
def test_shell_blocks_parse(page: str) -> None:
    for block in blocks(page, "sh"):
        subprocess.run([program("sh"), "-n"], input=block.text, text=True, check=True, timeout=30)
