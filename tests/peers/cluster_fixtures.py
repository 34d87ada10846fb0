"""Fixtures for a real API server and a real kubectl; what a machine lacks is skipped by name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.peers.api_server import ApiServer, assets_folder
from tests.peers.crds import install_crds
from tests.peers.kubectl import Kubectl, kubectl_path
from tests.peers.tools import LACKING

LACKING_SERVER = (
    f"{LACKING} kube-apiserver: set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd; "
    "`setup-envtest use -p path` of sigs.k8s.io/controller-runtime prints one"
)
LACKING_KUBECTL = f"{LACKING} kubectl 1.21 or newer: see https://kubernetes.io/docs/tasks/tools/"

_NAMESPACES = count(1)


def _assets() -> Path:
    found = assets_folder()
    if found is None:
        pytest.skip(LACKING_SERVER)
    return found


@pytest.fixture(scope="session")
def kube_assets() -> Path:
    """The folder with kube-apiserver and etcd, for those who start one of their own."""
    return _assets()


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One real API server for all tests, which keep apart by namespaces; nobody stops it."""
    with ApiServer(_assets(), tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """The name of a fresh namespace of `api_server`."""
    name = f"test-{next(_NAMESPACES)}"
    api_server.create_namespace(name)
    return name


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a real kubectl; one of before 1.21 knows neither components nor folders among resources."""
    found = kubectl_path(assets_folder())
    if found is None or Kubectl(found, tmp_path_factory.mktemp("kubectl")).version() < (1, 21):
        pytest.skip(LACKING_KUBECTL)
    return found


@pytest.fixture
def offline_kubectl(kubectl: str, tmp_path: Path) -> Kubectl:
    """kubectl without a server, for `kubectl kustomize`."""
    return Kubectl(kubectl, tmp_path)


@pytest.fixture
def cluster_kubectl(kubectl: str, api_server: ApiServer, tmp_path: Path) -> Kubectl:
    """kubectl as the admin of `api_server`."""
    return Kubectl(kubectl, tmp_path, api_server.kubeconfig)


@pytest.fixture(scope="session")
def connectors_api(api_server: ApiServer) -> ApiServer:
    """`api_server`, which knows Connector and ConnectorClass from the first test on that asks for this."""
    install_crds(api_server)
    return api_server
