"""An API server with deploy/ applied once for all tests here, and processes that run as its ServiceAccounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from standalone.demo import CHECKOUT
from tests.cluster.admission import LISTENS, NAMES, Reviewed, until_nobody_is_asked
from tests.cluster.installed import CONFIGURATION_PATH, Cluster, account_kubeconfig, install
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.kubectl import Kubectl
from tests.peers.tool import serve_tool

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(
    api_server: ApiServer, installed: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[ClusterProcess, ClusterProcess]]:
    """One proxy and one controller for the tests of a file, as `running` has them for one test."""
    folder = tmp_path_factory.mktemp("both")
    async with AsyncExitStack() as stack:
        proxy = await start_cluster_proxy(account_kubeconfig(api_server, "proxy", folder), "--client-auth", "none")
        stack.push_async_callback(proxy.child.stop)
        controller = await start_controller(account_kubeconfig(api_server, "controller", folder))
        stack.push_async_callback(controller.child.stop)
        yield proxy, controller


@dataclass(frozen=True, slots=True)
class Echo:
    """A tool that answers with the target it was asked for and the Authorization field it got."""

    address: str


@pytest.fixture
async def echo(exits: AsyncExitStack) -> Echo:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.raw_path} {request.headers.get('Authorization', '-')}")

    return Echo(await serve_tool(exits, answer))


# Of a file: to write one configuration and take it away again costs less than an API server that has it.
@pytest.fixture(scope="module")
def admission(api_server: ApiServer, installed: Kubectl) -> Iterator[None]:
    """The webhook configuration of deploy/ is in the API server: it asks the controller that a test starts."""
    installed.run("apply", "-f", str(CHECKOUT / "deploy" / "webhook.yaml"))
    yield
    api_server.must("DELETE", CONFIGURATION_PATH)
    until_nobody_is_asked(api_server)


@pytest.fixture
def reviewed(admission: None, cluster: Cluster) -> Reviewed:
    """A fresh namespace of that API server."""
    return Reviewed(cluster)


@pytest.fixture
def start_reviewer(reviewed: Reviewed, exits: AsyncExitStack, tmp_path: Path) -> Start:
    """start_reviewer(*options): a controller as its ServiceAccount, which the API server asks from now on."""

    async def begin(*options: str) -> ClusterProcess:
        return await _reviewing(reviewed, exits, tmp_path, *options)

    return begin


# On a loop of the file's, as its tests must be: what a process says is read there.
@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reviewer(
    admission: None, api_server: ApiServer, installed: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ClusterProcess]:
    """One controller that the API server asks, for the tests of a file that want nothing else of it."""
    async with AsyncExitStack() as stack:
        anywhere = Reviewed(Cluster(api_server, installed, "default"))
        yield await _reviewing(anywhere, stack, tmp_path_factory.mktemp("reviewer"))


async def _reviewing(reviewed: Reviewed, exits: AsyncExitStack, folder: Path, *options: str) -> ClusterProcess:
    kubeconfig = account_kubeconfig(reviewed.server, "controller", folder)
    process = await start_controller(kubeconfig, *NAMES, *options)
    exits.push_async_callback(process.child.stop)
    await reviewed.point_at((await process.child.line(LISTENS))[1])
    return process
