from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from standalone.cli import COMMANDS, main


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--help"], {})
    assert exit_.value.code == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("words", [[], ["nope"], ["--listen", "x"], ["serv"]])
def test_no_or_an_unknown_command_exits_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words, {})
    assert exit_.value.code == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_with_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(importlib.import_module(f"standalone.{command}").main)
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"], {})
    assert exit_.value.code == 0
    assert f"usage: connectors {command}" in capsys.readouterr().out


def test_words_and_exit_code_pass_through(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "connectors", "x", "-A"], {}) == 1
    assert "across all namespaces" in capsys.readouterr().err


def test_python_m_standalone() -> None:
    done = subprocess.run([sys.executable, "-m", "standalone"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: connectors" in done.stderr


def test_get_does_not_load_the_proxy() -> None:
    code = "import sys, standalone.cli, standalone.get; sys.exit(any(m.split('.')[0] == 'proxy' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
