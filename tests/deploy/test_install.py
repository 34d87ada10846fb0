"""Installing as docs/cluster.md says, on a real and empty API server."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.crds import CRDS, ROOT, definition
from tests.deploy.rendered import DEPLOY, Manifest, of_kind, overlay, render
from tests.docs.pages import blocks, text
from tests.peers.api_server import ApiServer
from tests.peers.crds import install_crd
from tests.peers.kubectl import Kubectl

pytestmark = pytest.mark.apiserver

FIRST = ("apply", "-k", str(DEPLOY / "crds"))
SECOND = ("apply", "-k", str(DEPLOY))
SYSTEM = "connectors-system"
GONE = 30.0
"""Seconds in which the API server must have noticed that a kind was deleted; it follows by a watch."""
CLASSES = (
    *("generic", "git", "github", "gitlab", "harbor", "jfrog", "k8s"),
    *("maven", "nexus", "npm", "oci", "pypi", "sonarqube"),
)


@pytest.fixture(autouse=True)
def fit(connectors_api: ApiServer) -> None:
    """What cannot store custom resources cannot take the base either."""


@pytest.fixture(scope="module")
def own_server(kube_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server that nothing but the tests of this file has installed anything in."""
    with ApiServer(kube_assets, tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture
def own_kubectl(kubectl: str, own_server: ApiServer, tmp_path: Path) -> Kubectl:
    """kubectl as the admin of that server, which is empty, or is emptied: a second one would cost more."""
    admin = Kubectl(kubectl, tmp_path, own_server.kubeconfig)
    if own_server.ask("GET", f"/api/v1/namespaces/{SYSTEM}").status == 200:
        # With a cache of its own: what it has learned of the server must not be known to the test.
        (tmp_path / "empty").mkdir()
        empty(own_server, Kubectl(kubectl, tmp_path / "empty", own_server.kubeconfig))
    return admin


def empty(server: ApiServer, kubectl: Kubectl) -> None:
    """Take everything away that FIRST and SECOND make."""
    # The kinds first: their objects go with them, and nothing is left that kubectl would not know.
    kubectl.run("delete", *FIRST[1:], "--ignore-not-found", "--wait")
    end = time.monotonic() + GONE
    while server.ask("GET", "/apis/connectors.alauda.io/v1alpha1").status != 404:
        assert time.monotonic() < end, "the kinds are still served"
        time.sleep(0.05)
    objects = [item for item in render(kubectl, DEPLOY) if item["kind"] not in ("ConnectorClass", "Namespace")]
    kubectl.run("delete", "-f", "-", "--ignore-not-found", stdin=yaml.safe_dump_all(objects))
    # Nothing here finishes the deletion of a namespace: what the namespace controller says, the test says.
    path = f"/api/v1/namespaces/{SYSTEM}"
    server.must("DELETE", path)
    namespace = server.must("GET", path)
    server.must("PUT", f"{path}/finalize", namespace | {"spec": {"finalizers": []}})
    assert server.ask("GET", path).status == 404


def outcomes(output: str) -> dict[str, str]:
    """Object -> created, configured or unchanged."""
    return dict(line.split(maxsplit=1) for line in output.splitlines())


def served(kubectl: Kubectl) -> None:
    """Wait until both kinds are served."""
    kubectl.run(
        "wait", "--for=condition=Established", *(f"crd/{definition(kind)['metadata']['name']}" for kind in CRDS)
    )


def test_two_commands_install_everything_and_change_nothing_when_repeated(own_kubectl: Kubectl) -> None:
    assert set(outcomes(own_kubectl.run(*FIRST).stdout).values()) == {"created"}
    served(own_kubectl)
    objects = render(own_kubectl, DEPLOY)
    # A dry run creates no namespace for the objects after it.
    own_kubectl.run("create", "namespace", SYSTEM)
    dry = outcomes(own_kubectl.run(*SECOND, "--dry-run=server").stdout)
    assert len(dry) == len(objects)
    assert all(outcome.endswith("(server dry run)") for outcome in dry.values())
    assert len(outcomes(own_kubectl.run(*SECOND).stdout)) == len(objects)
    for command in (FIRST, SECOND):
        again = outcomes(own_kubectl.run(*command).stdout)
        assert not {name: outcome for name, outcome in again.items() if outcome != "unchanged"}
    stored_as_written(own_kubectl, objects)


def stored_as_written(kubectl: Kubectl, objects: list[Manifest]) -> None:
    """What an old API server does not know it drops: of the base nothing may be lost on the oldest one supported."""
    listed = kubectl.json("get", "-k", str(DEPLOY))["items"]
    stored = {(item["kind"], item["metadata"]["name"]): item for item in listed}
    assert len(stored) == len(objects)
    for item in objects:
        kept = stored[item["kind"], item["metadata"]["name"]]
        assert kept["metadata"].get("namespace") == item["metadata"].get("namespace")
        assert not list(lost(item, kept, item["kind"]))


def test_the_second_command_alone_says_what_is_missing_and_completes_when_repeated(own_kubectl: Kubectl) -> None:
    done = own_kubectl.run(*SECOND, check=False)
    assert done.returncode
    assert 'no matches for kind "ConnectorClass"' in done.stderr
    assert 'no matches for kind "ConnectorClass"' in text("docs/cluster.md")
    served(own_kubectl)
    again = outcomes(own_kubectl.run(*SECOND).stdout)
    created = {name for name, outcome in again.items() if outcome == "created"}
    assert created == {f"connectorclass.connectors.alauda.io/{name}" for name in CLASSES}


def test_the_service_monitor(api_server: ApiServer, cluster_kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    """Nothing of it is pruned by a server that knows the operator's fields."""
    install_crd(
        api_server, yaml.safe_load((ROOT / "tests/deploy/service_monitor_crd.yaml").read_text(encoding="utf-8"))
    )
    objects = render(cluster_kubectl, overlay(tmp_path / "overlay", components=("monitoring",)))
    monitor = of_kind(objects, "ServiceMonitor")["connectors"]
    monitor["metadata"]["namespace"] = namespace
    path = f"/apis/monitoring.coreos.com/v1/namespaces/{namespace}/servicemonitors"
    assert api_server.must("POST", f"{path}?dryRun=All", monitor)["spec"] == monitor["spec"]
    monitor["spec"]["endpoints"][0]["honourLabels"] = True
    assert api_server.must("POST", f"{path}?dryRun=All", monitor)["spec"] != monitor["spec"]


def commands(page: str) -> Iterator[str]:
    for block in blocks(page, "console"):
        yield from re.findall(r"^\$ (kubectl create .*)$", block.text, re.MULTILINE)


def test_the_commands_that_grant_rights(connectors_api: ApiServer, cluster_kubectl: Kubectl, namespace: str) -> None:
    cluster_kubectl.run("apply", "-f", str(DEPLOY / "user-roles.yaml"))
    pages = ("docs/cluster.md", "docs/controller.md")
    found = [command.replace("team-a", namespace).split()[1:] for page in pages for command in commands(page)]
    assert len(found) == 5
    for words in found:
        cluster_kubectl.run(*words)
    lead = ("--as=jane", f"--as-group={namespace}-leads")
    builder = (f"--as=system:serviceaccount:{namespace}:builder",)
    other = (f"--as=system:serviceaccount:{namespace}:other", f"--as-group=system:serviceaccounts:{namespace}")
    for who, asked, allowed in (
        (lead, ("create", "connectors"), True),
        (lead, ("get", "secrets"), False),
        (lead, ("*", "connectors", "--subresource=proxy"), False),
        (builder, ("get", "connectors"), True),
        (builder, ("*", "connectors", "--subresource=proxy"), True),
        (other, ("list", "connectors"), True),
        (other, ("*", "connectors", "--subresource=proxy"), False),
        (other, ("create", "connectors"), False),
        (("--as=system:serviceaccount:default:builder",), ("get", "connectors"), False),
    ):
        answer = cluster_kubectl.run("auth", "can-i", *asked, *who, "-n", namespace, check=False)
        assert answer.stdout.split()[0] == ("yes" if allowed else "no"), (who, asked)


def lost(sent: Any, stored: Any, path: str) -> Iterator[str]:
    """What was sent and is not there; the server's own additions do not matter."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        for name, value in sent.items():
            yield from lost(value, stored.get(name), f"{path}.{name}")
    elif isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        for index, (value, other) in enumerate(zip(sent, stored, strict=True)):
            yield from lost(value, other, f"{path}[{index}]")
    elif sent != stored and (sent or stored):
        yield path


def test_losses_are_seen() -> None:
    sent: Manifest = {"a": [{"b": 1, "c": 2}], "d": {}}
    assert list(lost(sent, {"a": [{"b": 1, "x": 3}]}, "Kind")) == ["Kind.a[0].c"]
