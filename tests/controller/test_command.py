"""`python -m controller` as a process, against an API server that answers as told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from connectors.kube.resources import LEASES, SECRETS
from controller.admission.rotation import SECRET
from controller.command import main
from standalone.demo import CHECKOUT
from tests.peers.cluster_processes import ClusterProcess, start_controller
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import connector, connector_class

CERTIFICATE = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": "connectors-system"}}
"""As deploy/webhook.yaml brings it."""


async def readyz(process: ClusterProcess) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/readyz") as answer:
        return answer.status, await answer.text()


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        server.put(connector_class("open"))
        server.put(connector("tool", "https://tool.example", "open", namespace="team"))
        server.put(CERTIFICATE)
        yield server


async def test_it_leads_writes_and_lets_go_of_the_lease(
    server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack
) -> None:
    process = await start_controller(server.kubeconfig(tmp_path))
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    lease = server.get(LEASES, "connectors-controller-manager", "connectors-system")
    assert lease is not None
    assert lease["spec"]["holderIdentity"]
    await process.child.line("the webhook serves a new certificate", 10.0)
    assert await readyz(process) == (200, "ok\n")
    async with aiohttp.ClientSession() as session, session.get(process.admin + "/metrics") as answer:
        text = await answer.text()
    assert "connectors_controller_leader 1.0" in text
    assert 'connectors_controller_watch_connected{resource="services"} 1.0' in text
    assert await process.child.stop() == 0
    released = server.get(LEASES, "connectors-controller-manager", "connectors-system")
    assert released is not None
    assert not released["spec"].get("holderIdentity")


async def test_the_only_replica_needs_no_lease(server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack) -> None:
    process = await start_controller(server.kubeconfig(tmp_path), "--no-leader-elect", "--namespace", "system")
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    assert server.all(LEASES) == []
    assert await process.child.stop() == 0


async def test_without_a_certificate_it_is_not_ready_and_works_all_the_same(
    server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack
) -> None:
    server.remove(SECRETS, SECRET, "connectors-system")
    process = await start_controller(server.kubeconfig(tmp_path))
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    await process.child.line("cannot be kept current", 10.0)
    status, text = await readyz(process)
    assert status == 503
    assert f'missing: the webhook\'s certificate: secrets "{SECRET}" not found in namespace connectors-system' in text
    assert "apply deploy/webhook.yaml" in text
    assert await process.child.stop() == 0


async def test_the_webhook_can_be_left_out(server: FakeApiServer, tmp_path: Path, exits: AsyncExitStack) -> None:
    process = await start_controller(server.kubeconfig(tmp_path), "--webhook-listen", "off")
    exits.push_async_callback(process.child.stop)
    await server.asked(lambda asked: asked.method == "PUT" and asked.path.endswith("/connectors/tool/status"))
    assert (await readyz(process))[0] == 200
    assert not [asked for asked in server.requests if SECRET in asked.path]
    assert await process.child.stop() == 0


async def test_a_port_that_is_taken(server: FakeApiServer, tmp_path: Path) -> None:
    words = ["--kubeconfig", str(server.kubeconfig(tmp_path)), "--admin", "127.0.0.1:0"]
    listen = ["--webhook-listen", f"127.0.0.1:{server.port}"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "controller", *words, *listen, stderr=asyncio.subprocess.PIPE, cwd=CHECKOUT
    )
    _, told = await child.communicate()
    assert child.returncode == 1
    assert "Address already in use; choose another address with --webhook-listen" in told.decode()


def test_no_way_to_an_api_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"KUBECONFIG": str(tmp_path / "nosuch")}) == 1
    assert "python -m controller: error: no way to an API server: " in capsys.readouterr().err
