"""A class whose probes ask its own API, by `connectors serve` and an API that really listens."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.e2e.probed import Conditions, conditions_once
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import Manifest, auth, basic_auth, connector, connector_class, write
from tests.peers.proxy_process import ProxyProcess

pytestmark = pytest.mark.e2e

BASE = "/apis/connectors.alauda.io/v1alpha1"
TOKEN = "canary-5d11"


@dataclass
class Api:
    """Knows which tools it takes, by the address that it is told."""

    uri: str = ""
    known: set[str] = field(default_factory=set)
    seen: list[web.Request] = field(default_factory=list)
    status: int = 200

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        if not request.path.startswith("/plugin/v1/"):
            return web.Response(status=404)
        if request.path == "/plugin/v1/live":
            return web.Response(status=self.status)
        meta = json.loads(base64.b64decode(request.headers["X-Plugin-Meta"]))
        return web.Response(status=200 if meta["baseURL"] in self.known else 403)


async def listening(port: int = 0, api: Api | None = None) -> web.AppRunner:
    app = web.Application()
    if api is not None:
        app.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    served = Api()
    runner = await listening(api=served)
    served.uri = f"http://127.0.0.1:{runner.addresses[0][1]}/plugin/v1"
    yield served
    await runner.cleanup()


def asking(uri: str) -> Manifest:
    kind = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": True}
    probes = {
        "livenessProbe": {"api": {"path": "/live"}},
        "authProbes": [{"authName": "basicAuth", "probe": {"api": {"path": "check"}}}],
    }
    return connector_class("plugin", [kind], api={"uri": uri}, **probes)


async def said(proxy: ProxyProcess, path: str, **wanted: tuple[str, str]) -> None:
    """Return once the object's conditions say that."""

    def true(now: Conditions) -> bool:
        return all((now[kind]["status"], now[kind].get("reason", "")) == expected for kind, expected in wanted.items())

    await conditions_once(proxy, BASE + path, true)


WELL = ("True", "")
AWAY = ("False", "ConnectionFailed")


async def test_conditions_follow_the_api_and_it_never_sees_the_secret(
    tmp_path: Path, start_proxy: StartProxy, api: Api
) -> None:
    good, bad = "https://known.example/prefix", "https://unknown.example"
    api.known.add(good)
    login = basic_auth("login", "robot", TOKEN)
    named = [
        connector(name, address, "plugin", auth=auth("basicAuth", "login"))
        for name, address in (("good", good), ("bad", bad))
    ]
    proxy = await start_proxy(write(tmp_path, asking(api.uri), login, *named), "--probe-interval", "1s")
    await said(proxy, "/namespaces/default/connectors/good", LivenessReady=WELL, AuthReady=WELL, Ready=WELL)
    refused = ("False", "AuthenticationFailed")
    await said(proxy, "/namespaces/default/connectors/bad", LivenessReady=WELL, AuthReady=refused, Ready=refused)
    await said(proxy, "/connectorclasses/plugin", APIReady=WELL, Ready=WELL)
    api.status = 204
    odd = ("False", "UnexpectedStatus")
    await said(proxy, "/namespaces/default/connectors/good", LivenessReady=odd, AuthReady=WELL)
    assert {request.path for request in api.seen} >= {"/plugin/v1/live", "/plugin/v1/check"}
    everything = repr([(request.raw_headers, request.path_qs) for request in api.seen])
    encoded = base64.b64encode(f"robot:{TOKEN}".encode()).decode()
    assert TOKEN not in everything
    assert encoded not in everything


async def test_api_ready_moves_with_what_can_be_reached(tmp_path: Path, start_proxy: StartProxy) -> None:
    first = await listening()
    port = first.addresses[0][1]
    proxy = await start_proxy(write(tmp_path, asking(f"http://127.0.0.1:{port}")), "--probe-interval", "1s")
    # It answers 404 to everything, and can be reached: that is all that is asked.
    await said(proxy, "/connectorclasses/plugin", APIReady=WELL, Ready=WELL)
    await first.cleanup()
    await said(proxy, "/connectorclasses/plugin", APIReady=AWAY, Ready=AWAY)
    second = await listening(port)
    await said(proxy, "/connectorclasses/plugin", APIReady=WELL, Ready=WELL)
    await second.cleanup()
