from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from connectors.process.heap import settle_new
from connectors.process.parsers import HostPort
from controller.probes.schedule import ProbeSettings
from proxy.settings import AccessLogFormat, ProxySettings, Timeouts
from standalone.service import ServeError, Service, ServiceSettings
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream
from tests.standalone.manifests import CONNECTOR, SECRET

ANYWHERE = HostPort("127.0.0.1", 0)
REQUEST = b"GET /x HTTP/1.1\r\nHost: c-repo.default.localhost\r\n\r\n"


def settings_for(
    path: Path, *, host: str = "127.0.0.1", port: int = 0, admin: HostPort = ANYWHERE, probes: float = 0
) -> ServiceSettings:
    """Without `probes`, an interval in seconds, the tool sees what the test sends and nothing else."""
    settings = ProxySettings(host=host, port=port, access_log=AccessLogFormat.OFF, timeouts=Timeouts(drain=5.0))
    return ServiceSettings((path,), admin, settings, ProbeSettings(interval=probes))


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What pytest has collected stays frozen: to visit it takes longer than each of these tests."""
    monkeypatch.setattr("connectors.process.heap.settle", settle_new)


@pytest.fixture
async def service(tmp_path: Path, raw_upstream: RawUpstream) -> AsyncIterator[Service]:
    (tmp_path / "a.yaml").write_text(CONNECTOR.replace("https://tool.example", raw_upstream.address) + SECRET)
    made = Service(settings_for(tmp_path))
    await made.start()
    yield made
    await made.drain()
    await made.stop()


async def get(service: Service, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{service.admin}{path}") as answer:
        return answer.status, await answer.text()


async def listed(service: Service) -> list[dict[str, Any]]:
    url = f"http://{service.admin}/apis/connectors.alauda.io/v1alpha1/connectors"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        items: list[dict[str, Any]] = (await answer.json())["items"]
        return items


async def test_everything_answers_once_it_has_started(service: Service) -> None:
    assert await get(service, "/livez") == (200, "ok\n")
    assert await get(service, "/readyz") == (200, "ok\n")
    assert "connectors_proxy_snapshot_generation" in (await get(service, "/metrics"))[1]
    (item,) = await listed(service)
    assert item["status"]["proxy"]["httpAddress"]["url"] == f"http://c-repo.default.localhost:{service.listen.port}"
    ready = item["status"]["conditions"][-1]
    assert (ready["status"], ready["message"]) == ("Unknown", "probes are off (--probe-interval 0)")


async def test_the_first_probes_are_waited_for_and_no_longer_than_said(
    tmp_path: Path, raw_upstream: RawUpstream
) -> None:
    (tmp_path / "a.yaml").write_text(CONNECTOR.replace("https://tool.example", raw_upstream.address) + SECRET)
    service = Service(settings_for(tmp_path, probes=60))
    await service.start()
    try:
        await service.first_probes(0.05)
        (item,) = await listed(service)
        assert item["status"]["conditions"][-1]["reason"] == "ProbePending"
        tool = await raw_upstream.accept()
        assert (await tool.read_head()).startswith(b"GET / HTTP/1.1\r\n")
        tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await service.first_probes(10)
        (item,) = await listed(service)
        assert item["status"]["conditions"][-1]["status"] == "True"
        assert "connectors_controller_probe_duration_seconds" in (await get(service, "/metrics"))[1]
    finally:
        await service.drain()
        await service.stop()


async def test_a_request_reaches_the_tool_with_the_credential(service: Service, raw_upstream: RawUpstream) -> None:
    async with connected(service.listen.port) as client:
        client.send(REQUEST)
        tool = await raw_upstream.accept()
        assert b"\r\nAuthorization: Basic " in await tool.read_head()


async def test_a_change_on_disk_is_in_effect_within_2_seconds(service: Service, tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(CONNECTOR.replace("name: repo", "name: second"))
    async with asyncio.timeout(2):
        while {item["metadata"]["name"] for item in await listed(service)} != {"repo", "second"}:
            pass


async def test_draining_says_so_and_lets_the_running_request_finish(
    service: Service, raw_upstream: RawUpstream
) -> None:
    async with connected(service.listen.port) as client:
        client.send(REQUEST)
        tool = await raw_upstream.accept()
        await tool.read_head()
        draining = asyncio.create_task(service.drain())
        await asyncio.sleep(0)
        assert await get(service, "/readyz") == (503, "not ready\nmissing: shutting down\n")
        assert not draining.done()
        tool.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert (await client.read_to_eof()).endswith(b"ok")
        await asyncio.wait_for(draining, 5)


@pytest.mark.parametrize("taken", ["--listen", "--admin"])
async def test_a_taken_port(service: Service, tmp_path: Path, taken: str) -> None:
    settings = settings_for(tmp_path)
    if taken == "--listen":
        settings = dataclasses.replace(settings, proxy=dataclasses.replace(settings.proxy, port=service.listen.port))
    else:
        settings = dataclasses.replace(settings, admin=service.admin)
    where = service.listen if taken == "--listen" else service.admin
    with pytest.raises(ServeError) as raised:
        await Service(settings).start()
    assert str(raised.value) == f"cannot listen on {where}: Address already in use; choose another address with {taken}"
    assert await get(service, "/livez") == (200, "ok\n")


async def test_a_host_that_is_not_one(tmp_path: Path) -> None:
    with pytest.raises(ServeError, match=r"^cannot listen on host.invalid:0: (?!Unknown error).+; choose another"):
        await Service(settings_for(tmp_path, host="host.invalid")).start()


async def test_stopping_without_a_drain_leaves_nothing_running(tmp_path: Path) -> None:
    made = Service(settings_for(tmp_path))
    await made.start()
    before = asyncio.all_tasks()
    drain = asyncio.create_task(made.drain())
    drain.cancel()
    await asyncio.wait_for(made.stop(), 5)
    assert len(asyncio.all_tasks() - {drain}) < len(before)
    await made.drain()
