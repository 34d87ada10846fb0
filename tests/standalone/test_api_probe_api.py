from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from connectors.http.response import Response
from connectors.objects.connector import ConnectorKey
from connectors.process.health import AdminServer
from connectors.process.parsers import HostPort
from controller.probes.metrics import ProbeMetrics
from controller.probes.prober import Prober, ProberSurroundings
from controller.probes.schedule import ProbeSettings
from standalone.api import api_routes, probe_routes
from standalone.probe import main
from standalone.status import StatusBoard
from tests.controller.probes.subjects import BEARER, http, probed, probing_class, snapshot
from tests.peers.clock import FakeClock
from tests.peers.probe_sender import OK, ScriptedSender

PATH = "/apis/connectors.alauda.io/v1alpha1/namespaces/team/connectors/tool/probe"


@dataclass
class Scene:
    url: str
    sender: ScriptedSender
    board: StatusBoard

    async def post(self, path: str = PATH, **named: Any) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.post(self.url + path, **named) as answer:
            return answer.status, await answer.json()


@pytest.fixture
async def scene(exits: AsyncExitStack) -> Scene:
    sender = ScriptedSender()
    around = ProberSurroundings(sender, None, FakeClock(), lambda: 0.5, ProbeMetrics(CollectorRegistry()))
    prober = Prober(around, ProbeSettings(), lambda key: board.refresh(key))  # noqa: PLW0108 - made below
    board = StatusBoard(lambda key: "http://proxy", lambda: "2026-11-25T12:00:00Z", prober.probes)
    objects = snapshot(probed(), classes=(probing_class(http("/live"), http("/auth", httpHeaders=BEARER)),))
    prober.follow(objects)
    board.update(objects)
    app = web.Application()
    app.add_routes([*probe_routes(prober, board), *api_routes(lambda: board.current)])
    server = AdminServer(app, HostPort("127.0.0.1", 0))
    await server.start()
    exits.push_async_callback(server.stop)
    return Scene(f"http://127.0.0.1:{server.port}", sender, board)


async def test_both_probes_run_and_the_status_tells(scene: Scene) -> None:
    scene.sender.answer = lambda origin, target: Response(401) if target == "/auth" else OK
    status, body = await scene.post(json={})
    assert status == 200
    live, auth = body["probes"]
    assert live["hops"] == [{"method": "GET", "url": "https://tool.example/live", "headers": [], "status": 200}]
    assert auth["hops"][0]["headers"] == ["Authorization: **********"]
    assert auth["condition"]["reason"] == "AuthenticationFailed"
    entry = scene.board.current.connectors[ConnectorKey("team", "tool")]
    reasons = {condition.type.value: condition.reason for condition in entry.status.conditions}
    assert (reasons["LivenessReady"], reasons["AuthReady"]) == ("", "AuthenticationFailed")


async def test_an_unknown_one(scene: Scene) -> None:
    status, body = await scene.post(PATH.replace("/tool/", "/nope/"), json={})
    assert (status, body["reason"]) == (404, "NotFound")
    assert scene.sender.sent == []


async def test_no_page_of_a_browser_can_have_it_probe(scene: Scene) -> None:
    for named in ({"data": {"a": "b"}}, {"data": "x", "headers": {"Content-Type": "text/plain"}}):
        status, body = await scene.post(**named)
        assert (status, body["reason"]) == (415, "UnsupportedMediaType")
    async with aiohttp.ClientSession() as session:
        asking = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        async with session.options(scene.url + PATH, headers=asking) as answer:
            assert answer.status == 405
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert scene.sender.sent == []


async def test_one_at_a_time(scene: Scene) -> None:
    scene.sender.hold = asyncio.Event()
    asked = [asyncio.create_task(scene.post(json={})) for _ in range(5)]
    async with asyncio.timeout(10):
        await scene.sender.asked.wait()
    assert scene.sender.running <= 2, "both probes of one Connector"
    scene.sender.hold.set()
    assert {status for status, _ in await asyncio.gather(*asked)} == {200}
    assert len(scene.sender.sent) == 10
    assert scene.sender.most == 2


async def test_the_command_asks_it(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(main, ["tool", "-n", "team", "--server", scene.url], {}) == 0
    out = capsys.readouterr().out
    assert "  GET https://tool.example/live\n" in out
    assert "  AuthReady: True\n" in out
    assert "canary" not in out
