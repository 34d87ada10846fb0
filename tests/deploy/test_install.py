"""Installing as docs/cluster.md says, on a real and empty API server."""

from __future__ import annotations

import re
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
CLASSES = (
    *("generic", "git", "github", "gitlab", "harbor", "jfrog", "k8s"),
    *("maven", "nexus", "npm", "oci", "pypi", "sonarqube"),
)


@pytest.fixture(autouse=True)
def fit(connectors_api: ApiServer) -> None:
    """What cannot store custom resources cannot take the base either."""


@pytest.fixture
def own_kubectl(kubectl: str, own_api_server: ApiServer, tmp_path: Path) -> Kubectl:
    """kubectl as the admin of an empty server."""
    return Kubectl(kubectl, tmp_path, own_api_server.kubeconfig)


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
    own_kubectl.run("create", "namespace", "connectors-system")
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
