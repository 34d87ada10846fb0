from __future__ import annotations

from contextlib import AsyncExitStack

from aiohttp import web

from controller.probes.client import ProbeClient
from controller.probes.outcome import Purpose
from standalone.probe import probe_connector
from tests.controller.probes.subjects import BEARER, TOKEN, http, judgement, probed, probing_class
from tests.peers.tool import serve_tool
from tests.peers.trust import dialer


async def test_both_probes_of_a_tool_on_this_machine(exits: AsyncExitStack) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers.get("Authorization", "")))
        return web.Response(status=401 if request.path == "/auth" else 200)

    address = await serve_tool(exits, answer)
    kind = probing_class(http("/live"), http("/auth", httpHeaders=BEARER))
    sender = ProbeClient(dialer())
    exits.callback(sender.close)
    reports = await probe_connector(sender, judgement(kind, probed(address=address)), 10)
    assert seen == [("/live", ""), ("/auth", f"Bearer {TOKEN.decode()}")]
    assert not reports[Purpose.LIVENESS].outcome.failed
    assert reports[Purpose.AUTH].outcome.reason == "AuthenticationFailed"


async def test_t09_link_local_addresses_are_not_dialled(exits: AsyncExitStack) -> None:
    sender = ProbeClient(dialer())
    exits.callback(sender.close)
    item = probed(address="http://169.254.169.254")
    reports = await probe_connector(sender, judgement(probing_class(http("/")), item), 10)
    assert reports[Purpose.LIVENESS].outcome.reason == "TargetDenied"


async def test_what_needs_no_request(exits: AsyncExitStack) -> None:
    sender = ProbeClient(dialer())
    exits.callback(sender.close)
    reports = await probe_connector(sender, judgement(probing_class(http("/a b"))), 10)
    assert reports[Purpose.LIVENESS].ask is None
    assert reports[Purpose.LIVENESS].outcome.reason == "TemplateError"
    assert Purpose.AUTH not in reports
