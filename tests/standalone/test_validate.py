from __future__ import annotations

from pathlib import Path

import pytest

from standalone.validate import main
from tests.standalone.manifests import CONNECTOR, SECRET


def validate(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(path)], {})
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("text", [CONNECTOR + SECRET, CONNECTOR, "", "kind: Deployment\nmetadata: {name: x}\n"])
def test_all_is_well(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert validate(tmp_path, capsys) == (0, "", "")


def test_each_violation_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(CONNECTOR.replace("https://tool.example", "nowhere").replace("Name: git", "Name: x") + "a: [")
    code, out, err = validate(tmp_path, capsys)
    assert (code, err) == (1, "")
    assert all(line.startswith(f"{file}:") for line in out.splitlines())

    file.write_text(CONNECTOR.replace("https://tool.example", "nowhere").replace("Name: git", "Name: x"))
    code, out, err = validate(tmp_path, capsys)
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.startswith(f"{file}:6: Connector default/repo: spec.connectorClassName: ")
    assert second.startswith(f"{file}:7: Connector default/repo: spec.address: ")


def test_a_misspelt_kind_is_a_violation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(CONNECTOR.replace("kind: Connector", "kind: Conector"))
    code, out, err = validate(tmp_path, capsys)
    line = CONNECTOR.splitlines().index("kind: Connector") + 1
    assert (code, err) == (1, "")
    assert out == f"{file}:{line}: kind: there is no such kind in connectors.alauda.io; did you mean Connector?\n"


def test_a_warning_does_not_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(CONNECTOR.replace("https://", "http://"))
    code, out, err = validate(tmp_path, capsys)
    assert (code, out) == (0, "")
    assert err.startswith(f"warning: {file}:7: Connector default/repo: spec.address: ")


def test_a_path_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = validate(tmp_path / "nope", capsys)
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path / 'nope'}: No such file or directory")


def test_a_file_below_the_path_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(CONNECTOR.replace("https://", "ftp://"))
    (tmp_path / "b.yaml").symlink_to(tmp_path / "b.yaml")
    code, out, err = validate(tmp_path, capsys)
    assert code == 2
    assert "spec.address" in out
    assert str(tmp_path / "b.yaml") in err


def test_t14_no_violation_quotes_a_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = SECRET.replace("stringData:", "data:")
    (tmp_path / "a.yaml").write_text(CONNECTOR.replace("https://", "https://user:canary-4f1d@") + secret)
    code, out, err = validate(tmp_path, capsys)
    assert code == 1
    assert out.count("\n") == 2
    assert "canary" not in out + err


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.yaml").write_text(CONNECTOR.replace("name: repo", 'name: "a\\e[31m"'))
    code, out, _ = validate(tmp_path, capsys)
    assert code == 1
    assert "\x1b" not in out


def test_no_path_exits_2() -> None:
    with pytest.raises(SystemExit) as exit_:
        main([], {})
    assert exit_.value.code == 2
