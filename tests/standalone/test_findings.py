from __future__ import annotations

from pathlib import Path

from connectors.snapshot import build
from connectors.sources.directory import DirectorySource
from standalone.findings import findings
from tests.standalone.manifests import CONNECTOR, SECRET, TEAM_CLASS


def found_in(directory: Path, text: str, *, secrets_elsewhere: bool = False) -> list[str]:
    file = directory / "all.yaml"
    file.write_text(text)
    loaded = DirectorySource([file], lambda: "t1").load()
    problems = findings(loaded, build(loaded.objects), secrets_elsewhere=secrets_elsewhere)
    return [str(problem).removeprefix(f"{file}:") for problem in problems]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert found_in(tmp_path, CONNECTOR + SECRET) == []


def test_a_rule_is_broken_in_a_line(tmp_path: Path) -> None:
    (problem,) = found_in(tmp_path, SECRET + CONNECTOR.replace("https://", "ftp://"))
    assert problem.startswith("15: Connector default/repo: spec.address: ")


def test_a_class_is_missing(tmp_path: Path) -> None:
    (problem,) = found_in(tmp_path, CONNECTOR.replace("ClassName: git", "ClassName: nope") + SECRET)
    assert problem == (
        '6: Connector default/repo: spec.connectorClassName: ConnectorClass "nope" not found; '
        "create it, or name another one"
    )


def test_a_secret_is_missing(tmp_path: Path) -> None:
    (problem,) = found_in(tmp_path, CONNECTOR)
    assert problem.startswith('10: Connector default/repo: spec.auth.secretRef: secrets "login" not found')
    assert found_in(tmp_path, CONNECTOR, secrets_elsewhere=True) == []


def test_a_secret_that_is_there_must_fit(tmp_path: Path) -> None:
    (problem,) = found_in(tmp_path, CONNECTOR + SECRET.replace("password:", "pass:"), secrets_elsewhere=True)
    assert problem.startswith("10: Connector default/repo: spec.auth.secretRef: ")
    assert "password" in problem


def test_a_class_breaks_a_rule(tmp_path: Path) -> None:
    of_class, *of_connector = found_in(
        tmp_path, TEAM_CLASS + CONNECTOR.replace("ClassName: git", "ClassName: team"), secrets_elsewhere=True
    )
    assert of_class.startswith("7: ConnectorClass team: spec.params[0].type: ")
    assert "spec.connectorClassName: ConnectorClass team is invalid" in "".join(of_connector)
