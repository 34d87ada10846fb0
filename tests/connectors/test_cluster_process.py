from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest

from connectors.cluster_process import ClusterProcess, ClusterSettings, StartError
from connectors.kube.access import Access
from connectors.kube.settings import ClusterOptions
from connectors.process.parsers import HostPort
from tests.peers.fake_api_server import FakeApiServer

ANY_PORT = HostPort("127.0.0.1", 0)


def settings(server: FakeApiServer, folder: Path, admin: HostPort = ANY_PORT) -> ClusterSettings:
    return ClusterSettings("proxy", Access(server.kubeconfig(folder)), ClusterOptions(admin=admin))


async def get(process: ClusterProcess, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{process.admin}{path}") as answer:
        return answer.status, await answer.text()


async def test_ready_once_the_first_snapshot_serves(server: FakeApiServer, tmp_path: Path) -> None:
    server.hold_lists()
    process = ClusterProcess(settings(server, tmp_path))
    await process.start()
    status, text = await get(process, "/readyz")
    assert (status, text) == (503, "not ready\nmissing: the list of connectors\n")
    assert (await get(process, "/livez"))[0] == 200
    server.release_lists()
    assert await process.wait_ready(asyncio.Event())
    assert await get(process, "/readyz") == (200, "ok\n")
    assert 'connectors_proxy_watch_connected{resource="connectors"}' in (await get(process, "/metrics"))[1]
    process.drain()
    assert (await get(process, "/readyz"))[1] == "not ready\nmissing: shutting down\n"
    await process.stop()


async def test_told_to_stop_before_it_is_ready(server: FakeApiServer, tmp_path: Path) -> None:
    server.hold_lists()
    process = ClusterProcess(settings(server, tmp_path))
    await process.start()
    stop = asyncio.Event()
    waiting = asyncio.create_task(process.wait_ready(stop))
    await asyncio.sleep(0)
    stop.set()
    assert not await asyncio.wait_for(waiting, 5)
    await process.stop()
    server.release_lists()


async def test_work_runs_beside_and_is_cancelled_with_it(server: FakeApiServer, tmp_path: Path) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    process = ClusterProcess(settings(server, tmp_path))
    await process.start(work())
    await asyncio.wait_for(begun.wait(), 5)
    await process.stop()
    assert ended.is_set()


async def test_a_failure_ends_the_wait(server: FakeApiServer, tmp_path: Path) -> None:
    async def work() -> None:
        raise LookupError("broken")

    process = ClusterProcess(settings(server, tmp_path))
    await process.start(work())
    with pytest.raises(BaseExceptionGroup) as failed:
        await asyncio.wait_for(process.wait(asyncio.Event()), 5)
    assert failed.group_contains(LookupError)
    await process.stop()


async def test_no_access_and_no_port_are_said(server: FakeApiServer, tmp_path: Path) -> None:
    async def never() -> None:
        raise AssertionError

    missing = ClusterSettings("proxy", Access(tmp_path / "nosuch"), ClusterOptions(admin=ANY_PORT))
    with pytest.raises(StartError, match="nosuch"):
        await ClusterProcess(missing).start(never())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        admin = HostPort("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(StartError, match=rf"cannot listen on {admin}: Address already in use; .* --admin"):
            await ClusterProcess(settings(server, tmp_path, admin)).start(never())


async def test_its_identity_is_the_uid_of_the_system_namespace(
    server: FakeApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    process = ClusterProcess(settings(server, tmp_path))
    told: list[str] = []
    process.on_identity(told.append)
    await process.start()
    assert await process.identity() is None
    assert "namespace connectors-system cannot be read" in caplog.text
    stored = server.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "connectors-system"}})
    assert await process.identity() == stored["metadata"]["uid"] != ""
    assert told == [stored["metadata"]["uid"]]
    await process.stop()
