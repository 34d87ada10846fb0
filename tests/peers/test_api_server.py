"""The real API server as a peer: what tests of outages and permissions count on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.api_server import ApiServer
from tests.peers.kubectl import Kubectl

pytestmark = pytest.mark.apiserver


@pytest.fixture(scope="module")
def own_server(kube_assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server to stop and to compact; without a watch cache, which would serve old versions from memory."""
    with ApiServer(kube_assets, tmp_path_factory.mktemp("api-server"), ["--watch-cache=false"]) as server:
        yield server


def test_an_outage_loses_nothing(own_server: ApiServer) -> None:
    own_server.create_namespace("kept")
    port = own_server.port
    own_server.stop_api_server()
    with pytest.raises(ConnectionRefusedError):
        own_server.ask("GET", "/readyz")
    own_server.start_api_server()
    assert own_server.port == port
    assert own_server.ask("GET", "/api/v1/namespaces/kept").status == 200


def test_a_compaction_makes_old_versions_gone(own_server: ApiServer) -> None:
    server = own_server
    old = server.must("GET", "/api/v1/namespaces")["metadata"]["resourceVersion"]
    server.create_namespace("newer")
    watch = f"/api/v1/namespaces?watch=1&timeoutSeconds=1&resourceVersion={old}"
    assert server.ask("GET", watch).body["type"] == "ADDED"
    server.compact()
    assert server.ask("GET", watch).body["object"]["code"] == 410


def test_a_service_account_is_nobody_without_roles(api_server: ApiServer, namespace: str) -> None:
    token = api_server.service_account_token(namespace, "somebody")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    status = api_server.must("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]
    assert status["user"]["username"] == f"system:serviceaccount:{namespace}:somebody"
    secrets = f"/api/v1/namespaces/{namespace}/secrets"
    assert api_server.ask("GET", secrets, token=token).status == 403
    assert api_server.ask("GET", secrets).status == 200


def test_kubectl_uses_the_kubeconfig(cluster_kubectl: Kubectl, namespace: str, api_server: ApiServer) -> None:
    assert cluster_kubectl.json("get", "namespace", namespace)["metadata"]["name"] == namespace
    token = api_server.service_account_token(namespace, "other")
    folder: Path = cluster_kubectl.folder
    config = api_server.write_kubeconfig(folder / "other.kubeconfig", token, namespace)
    refused = Kubectl(cluster_kubectl.path, folder, config).run("get", "secrets", check=False)
    assert "Forbidden" in refused.stderr
    assert f'"{namespace}"' in refused.stderr
