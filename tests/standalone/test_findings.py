from __future__ import annotations

from pathlib import Path

import trustme

from connectors.inventory import build
from connectors.sources.directory import DirectorySource
from standalone.findings import findings
from tests.peers.trust import pem
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
    (problem,) = found_in(
        tmp_path, CONNECTOR + SECRET.replace("kubernetes.io/basic-auth", "Opaque"), secrets_elsewhere=True
    )
    assert problem.startswith("10: Connector default/repo: spec.auth.secretRef: ")
    assert "kubernetes.io/basic-auth" in problem


def test_t40_a_line_end_behind_a_value_earns_a_warning(tmp_path: Path) -> None:
    (problem,) = found_in(tmp_path, CONNECTOR + SECRET.replace("canary-4f1d", '"canary-4f1d\\n"'))
    assert problem.startswith("10: Connector default/repo: spec.auth.secretRef: key password of Secret login: the line")
    assert "canary" not in problem


def test_a_class_breaks_a_rule(tmp_path: Path) -> None:
    of_class, *of_connector = found_in(
        tmp_path, TEAM_CLASS + CONNECTOR.replace("ClassName: git", "ClassName: team"), secrets_elsewhere=True
    )
    assert of_class.startswith("7: ConnectorClass team: spec.params[0].type: ")
    assert "spec.connectorClassName: ConnectorClass team is invalid" in "".join(of_connector)


FLAG = """
---
apiVersion: v1
kind: ConfigMap
metadata: {name: connectors-config}
data: {enable-custom-ca-certs: "true"}
"""
JUNK = "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n"


def ca_secret(value: str, name: str = "ca", namespace: str = "default") -> str:
    labels = '{connectors.cpaas.io/ca-cert: "true"}'
    metadata = f"{{name: {name}, namespace: {namespace}, labels: {labels}}}"
    return f'---\napiVersion: v1\nkind: Secret\nmetadata: {metadata}\nstringData: {{ca.crt: "{value}"}}\n'


WITH_CA = CONNECTOR.replace("spec:\n", "spec:\n  caCertSecretRef: {name: ca}\n")


def test_cas_that_cannot_be_used_earn_a_warning(tmp_path: Path) -> None:
    good = pem(trustme.CA()).replace("\n", "\\n")
    assert found_in(tmp_path, WITH_CA + SECRET + FLAG + ca_secret(good)) == []
    assert found_in(tmp_path, WITH_CA + SECRET) == [], "the flag is off"
    (lost,) = found_in(tmp_path, WITH_CA + SECRET + FLAG)
    assert 'spec.caCertSecretRef.name: secrets "ca" not found' in lost
    assert found_in(tmp_path, WITH_CA + SECRET + FLAG, secrets_elsewhere=True) == []
    (broken,) = found_in(tmp_path, WITH_CA + SECRET + FLAG + ca_secret(JUNK), secrets_elsewhere=True)
    assert 'spec.caCertSecretRef.name: Secret "ca" contains invalid PEM data: ca.crt: certificate 1' in broken
    (mixed,) = found_in(tmp_path, WITH_CA + SECRET + FLAG + ca_secret(good + JUNK))
    assert mixed.endswith('of secret "ca" left out: ca.crt: certificate 2 is not X.509')
    (shared,) = found_in(tmp_path, CONNECTOR + SECRET + FLAG + ca_secret(JUNK, "all", "connectors-system"))
    assert ': Secret connectors-system/all: Secret "all" contains invalid PEM data' in shared
