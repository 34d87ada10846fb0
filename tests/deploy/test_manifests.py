"""Manifests that people have, on a real API server: accepted as they are, with nothing pruned and nothing added."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.objects.metadata import API_VERSION
from tests.deploy.crds import ROOT
from tests.docs.pages import blocks, pages
from tests.peers.api_server import ApiServer
from tests.peers.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

FOLDERS = ("tests/deploy/manifests", "examples", "connectors/classes")
FILES = sorted(path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob("*.yaml"))
PATHS = {
    "Connector": f"/apis/{API_VERSION}/namespaces/{{}}/connectors",
    "ConnectorClass": f"/apis/{API_VERSION}/connectorclasses",
    "Secret": "/api/v1/namespaces/{}/secrets",
}
CONDITIONS = "tests/deploy/manifests/status-conditions.yaml"
"""The requirement's example of a status, which is no object."""

Manifest = dict[str, Any]


def manifests(text: str) -> Iterator[Manifest]:
    return (found for found in yaml.safe_load_all(text) if found and "kind" in found)


TEXTS = {
    **{file: (ROOT / file).read_text(encoding="utf-8") for file in FILES if file != CONDITIONS},
    **{f"{page}-{number}": block.text for page in pages() for number, block in enumerate(blocks(page, "yaml"))},
}
CASES = [
    pytest.param(manifest, id=f"{name}-{manifest['kind']}-{manifest['metadata']['name']}")
    for name, text in TEXTS.items()
    for manifest in manifests(text)
    if manifest["kind"] in PATHS
]


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """The manifest, in that namespace if its kind has namespaces, else with that name: others may have made it."""
    if manifest["kind"] == "ConnectorClass":
        return {**manifest, "metadata": {**manifest["metadata"], "name": namespace}}
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def content(manifest: Manifest) -> Manifest:
    """What the API server should keep: stringData is for writing only, and the status has a door of its own."""
    return {name: value for name, value in manifest.items() if name not in {"metadata", "stringData", "status"}}


@pytest.mark.parametrize("manifest", CASES)
def test_nothing_is_pruned(manifest: Manifest, connectors_api: ApiServer, namespace: str) -> None:
    sent = in_namespace(manifest, namespace)
    path = PATHS[sent["kind"]].format(namespace)
    stored = connectors_api.must("POST", f"{path}?dryRun=All", sent)
    assert {name: stored.get(name) for name in content(sent)} == content(sent)
    assert {name: stored["metadata"].get(name) for name in sent["metadata"]} == sent["metadata"]
    if sent["kind"] == "Secret":
        assert sorted(stored["data"]) == sorted({**sent.get("data", {}), **sent.get("stringData", {})})


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(manifest["status"], id=f"{name}-{manifest['metadata']['name']}")
        for name, text in TEXTS.items()
        for manifest in manifests(text)
        if "status" in manifest
    ]
    + [pytest.param(yaml.safe_load((ROOT / CONDITIONS).read_text(encoding="utf-8"))["status"], id="conditions")],
)
def test_nothing_of_a_status_is_pruned(status: Manifest, connectors_api: ApiServer, namespace: str) -> None:
    path = PATHS["Connector"].format(namespace)
    connector = {"apiVersion": API_VERSION, "kind": "Connector", "metadata": {"name": "tool"}, "spec": {}}
    made = connectors_api.must("POST", path, connector)
    stored = connectors_api.must("PUT", f"{path}/tool/status", {**made, "status": status})
    assert stored["status"] == status


def test_the_requirements_examples_are_all_here() -> None:
    found = [manifest for name, text in TEXTS.items() if "/requirement-" in name for manifest in manifests(text)]
    assert len(found) == 17


def complaints(kubectl: Kubectl, *files: str) -> str:
    """What kubectl says of them beyond that it took them."""
    words = [word for file in files for word in ("-f", str(ROOT / file))]
    done = kubectl.run("apply", "--dry-run=server", *words, check=False)
    odd = [line for line in done.stdout.splitlines() if not line.endswith(" (server dry run)")]
    said = "\n".join([done.stderr, *odd]).strip()
    return said or (f"exit code {done.returncode}" if done.returncode else "")


def test_kubectl_finds_nothing_to_complain_about(connectors_api: ApiServer, cluster_kubectl: Kubectl) -> None:
    """Beyond the server's own rules kubectl checks against the schema that the server publishes."""
    files = [file for file in FILES if file != CONDITIONS]
    found = [manifest["metadata"] for file in files for manifest in manifests(TEXTS[file])]
    for name in {metadata.get("namespace", "default") for metadata in found}:
        connectors_api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    # One process for all; one for each file only to say which of them it is.
    if complaints(cluster_kubectl, *files):
        wrong = {file: said for file in files if (said := complaints(cluster_kubectl, file))}
        raise AssertionError(wrong or "together they are refused, and each alone is not")


def until_published(server: ApiServer, seconds: float = 30.0) -> None:
    """Until the schema of our kinds is among those that the server publishes, which comes after it serves them."""
    end = time.monotonic() + seconds
    while "ConnectorClass" not in str(server.must("GET", "/openapi/v2")):
        assert time.monotonic() < end, "the schema is not published"
        time.sleep(0.2)


def test_an_unknown_field_is_seen(connectors_api: ApiServer, cluster_kubectl: Kubectl, tmp_path: Path) -> None:
    until_published(connectors_api)
    text = (ROOT / "tests/deploy/manifests/requirement-00-overview.yaml").read_text(encoding="utf-8")
    (tmp_path / "typo.yaml").write_text(text.replace("secretRef:", "secretReference:"), encoding="utf-8")
    done = cluster_kubectl.run("apply", "--dry-run=server", "-f", str(tmp_path / "typo.yaml"), check=False)
    # kubectl's own words, or from 1.25 on the API server's, which name the whole path.
    assert re.search(r'unknown field "(?:spec\.auth\.)?secretReference"', done.stderr), done.stderr


def test_columns(connectors_api: ApiServer, cluster_kubectl: Kubectl, namespace: str) -> None:
    path = PATHS["Connector"].format(namespace)
    spec = {"connectorClassName": "git", "address": "https://git.example"}
    made = connectors_api.must(
        "POST", path, {"apiVersion": API_VERSION, "kind": "Connector", "metadata": {"name": "tool"}, "spec": spec}
    )
    url = f"http://c-tool.{namespace}.svc.cluster.local"
    conditions = [{"type": "Ready", "status": "False", "reason": "SecretNotFound"}]
    status = {"conditions": conditions, "proxy": {"httpAddress": {"url": url}}}
    connectors_api.must("PUT", f"{path}/tool/status", {**made, "status": status})
    header, line = cluster_kubectl.run("get", "connectors", "-n", namespace).stdout.splitlines()
    assert header.split() == ["NAME", "CLASS", "ADDRESS", "READY", "REASON", "PROXY", "AGE"]
    assert line.split()[:-1] == ["tool", "git", "https://git.example", "False", "SecretNotFound", url]
    listed = cluster_kubectl.run("get", "alauda", "-n", namespace, "-o", "name").stdout.splitlines()
    assert "connector.connectors.alauda.io/tool" in listed


EXPLAINED = {
    "connector": "Clients in the cluster use it through",
    "connector.spec": "URL of the tool",
    "connector.spec.auth": "Which of the class's spec.auth.types is used.",
    "connector.spec.auth.secretRef.namespace": "Another one is refused.",
    "connector.status.conditions.message": "It never holds a credential.",
    "connectorclass.spec.auth.types.generator.headers.value": "a template over .Connector and .Secret",
    "connectorclass.spec.livenessProbe.http.response.cel": "A CEL expression over response.statusCode",
}


@pytest.mark.parametrize(("path", "words"), EXPLAINED.items())
def test_explain(path: str, words: str, connectors_api: ApiServer, cluster_kubectl: Kubectl) -> None:
    assert words in " ".join(cluster_kubectl.run("explain", path).stdout.split())
