"""An API server with deploy/ applied once for all tests here, and processes that run as its ServiceAccounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from tests.cluster.admission import LISTENS, NAMES, Reviewed
from tests.cluster.installed import Cluster, account_kubeconfig, install
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.kubectl import Kubectl
from tests.peers.tool import serve_tool

_NAMESPACES = count(1)

Start = Callable[..., Awaitable[ClusterProcess]]


@pytest.fixture(scope="session")
def installed(api_server: ApiServer, kubectl: str, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """kubectl as the admin of an API server with deploy/ applied."""
    admin = Kubectl(kubectl, tmp_path_factory.mktemp("kubectl"), api_server.kubeconfig)
    install(api_server, admin)
    return admin


@pytest.fixture
def cluster(api_server: ApiServer, installed: Kubectl, namespace: str) -> Cluster:
    """A fresh namespace beside deploy/."""
    return Cluster(api_server, installed, namespace)


@pytest.fixture
def start(cluster: Cluster, exits: AsyncExitStack, tmp_path: Path) -> Start:
    """start("proxy" | "controller", *options): run it as its ServiceAccount until the test ends."""
    starts = {"proxy": start_cluster_proxy, "controller": start_controller}

    async def begin(name: str, *options: str) -> ClusterProcess:
        process = await starts[name](account_kubeconfig(cluster.server, name, tmp_path), *options)
        exits.push_async_callback(process.child.stop)
        return process

    return begin


@dataclass(frozen=True, slots=True)
class Running:
    """A cluster with a controller, and a proxy that asks nobody who they are."""

    cluster: Cluster
    proxy: ClusterProcess
    controller: ClusterProcess


@pytest.fixture
async def running(cluster: Cluster, start: Start) -> Running:
    return Running(cluster, await start("proxy", "--client-auth", "none"), await start("controller"))


@dataclass(frozen=True, slots=True)
class Echo:
    """A tool that answers with the target it was asked for and the Authorization field it got."""

    address: str


@pytest.fixture
async def echo(exits: AsyncExitStack) -> Echo:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.raw_path} {request.headers.get('Authorization', '-')}")

    return Echo(await serve_tool(exits, answer))


# Of the package, not the session: what is over when its last test is takes nothing from the tests behind it.
@pytest.fixture(scope="package")
def reviewed_server(
    kube_assets: Path, kubectl: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ApiServer, Kubectl]]:
    """An API server of its own, with deploy/ and its webhook configuration: whoever starts a controller is asked."""
    with ApiServer(kube_assets, tmp_path_factory.mktemp("reviewed")) as server:
        admin = Kubectl(kubectl, tmp_path_factory.mktemp("kubectl"), server.kubeconfig)
        install(server, admin, admission=True)
        yield server, admin


@pytest.fixture
def reviewed(reviewed_server: tuple[ApiServer, Kubectl]) -> Reviewed:
    """A fresh namespace of it."""
    server, admin = reviewed_server
    name = f"team-{next(_NAMESPACES)}"
    server.create_namespace(name)
    return Reviewed(Cluster(server, admin, name))


@pytest.fixture
def start_reviewer(reviewed: Reviewed, exits: AsyncExitStack, tmp_path: Path) -> Start:
    """start_reviewer(*options): a controller as its ServiceAccount, which the API server asks from now on."""

    async def begin(*options: str) -> ClusterProcess:
        kubeconfig = account_kubeconfig(reviewed.server, "controller", tmp_path)
        process = await start_controller(kubeconfig, *NAMES, *options)
        exits.push_async_callback(process.child.stop)
        await reviewed.point_at((await process.child.line(LISTENS))[1])
        return process

    return begin
