"""Manifests change while `connectors serve` runs: in effect within 2 s, and no request in flight notices."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import defaultdict
from pathlib import Path

import aiohttp
import pytest

from tests.peers.fixtures import StartNginx, StartProxy
from tests.peers.manifests import auth, basic_auth, connector, write
from tests.peers.proxy_process import ProxyProcess

pytestmark = [pytest.mark.e2e, pytest.mark.nginx]

ECHO = 'location / { return 200 "$http_authorization"; }'
CLIENTS = 50
IN_EFFECT = 2.0
"""Seconds, as the contract says."""


class Load:
    """CLIENTS keep-alive clients that ask again and again, and what they saw when."""

    def __init__(self, proxy: ProxyProcess, name: str) -> None:
        self._url = f"{proxy.path_form(name)}/x"
        self._stop = False
        self._first: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.seen: list[tuple[float, int, str]] = []

    async def run(self) -> None:
        connector_ = aiohttp.TCPConnector(limit=CLIENTS)
        async with aiohttp.ClientSession(connector=connector_) as session, asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._client(session))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self._stop:
            began = time.monotonic()
            async with session.get(self._url) as response:
                body = await response.text()
            self.seen.append((began, response.status, body))
            self._first[body].set()

    async def until_seen(self, text: str) -> None:
        async with asyncio.timeout(10):
            await self._first[text].wait()

    def stop(self) -> None:
        self._stop = True


def _basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"robot:{password}".encode()).decode()


async def test_replaced_secret_is_injected_within_2_seconds_and_no_request_fails(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    nginx = await start_nginx(ECHO)
    manifests = write(tmp_path / "manifests", connector("tool", nginx.address, auth=auth("basicAuth", "login")))
    write(manifests, basic_auth("login", "robot", "old"), file="secret.yaml")
    proxy = await start_proxy(manifests)
    load = Load(proxy, "tool")
    running = asyncio.create_task(load.run())
    await load.until_seen(_basic("old"))
    changed = time.monotonic()
    write(manifests, basic_auth("login", "robot", "new"), file="secret.yaml")
    await load.until_seen(_basic("new"))
    swapped = time.monotonic()
    write(manifests, basic_auth("login", "robot", "newer"), file="secret.yaml")
    await load.until_seen(_basic("newer"))
    load.stop()
    await running
    assert {status for _, status, _ in load.seen} == {200}
    assert swapped - changed < IN_EFFECT
    assert [body for began, _, body in load.seen if began > swapped and body == _basic("old")] == []


async def test_half_written_manifest_keeps_what_was_good_and_says_where(
    tmp_path: Path, start_nginx: StartNginx, start_proxy: StartProxy
) -> None:
    nginx = await start_nginx(ECHO)
    manifests = write(tmp_path / "manifests", connector("tool", nginx.address, auth=auth("basicAuth")))
    proxy = await start_proxy(manifests)
    (manifests / "manifests.yaml").write_text("apiVersion: v1\nkind: [unclosed\n", encoding="utf-8")
    async with asyncio.timeout(5):
        await proxy.child.line(r"manifests\.yaml:\d+")
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.path_form('tool')}/x") as response:
        assert response.status == 200


async def test_connector_that_points_at_the_proxy_itself_is_refused(tmp_path: Path, start_proxy: StartProxy) -> None:
    manifests = write(tmp_path / "manifests", connector("other", "https://tool.example", auth=auth("basicAuth")))
    proxy = await start_proxy(manifests)
    write(
        manifests,
        connector("loop", proxy.url, auth=auth("basicAuth")),
        connector("named", f"http://c-other.default.localhost:{proxy.port}", auth=auth("basicAuth")),
        connector("other", "https://tool.example", auth=auth("basicAuth")),
    )
    async with aiohttp.ClientSession() as session:
        for name in ("loop", "named"):
            deadline = time.monotonic() + IN_EFFECT
            while (got := await _reason(session, proxy, name)) == (404, "ConnectorNotFound"):
                assert time.monotonic() < deadline
            assert got == (508, "LoopDetected")


async def _reason(session: aiohttp.ClientSession, proxy: ProxyProcess, name: str) -> tuple[int, str]:
    async with session.get(f"{proxy.path_form(name)}/x") as response:
        return response.status, response.headers["X-Connectors-Reason"]
