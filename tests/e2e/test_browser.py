"""A real browser: no page of another origin uses a loopback port, and the tool itself works (threat 38)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from tests.peers.chromium import Tab, chromium
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import connector, write
from tests.peers.proxy_process import ProxyProcess

pytestmark = pytest.mark.e2e

ANY_ORIGIN = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "*"}
"""As GitHub's API says it."""
PAGE = """<!doctype html><title>{title}</title>
<form method=post><input name=a value=b></form><iframe name=frame></iframe><a href="{link}">a link</a>"""

READ = "fetch('{}').then(answer => answer.text(), () => 'refused')"
CACHED = "fetch('{}', {{cache: 'force-cache'}}).then(answer => answer.text(), () => 'refused')"
WRITE = "fetch('{}', {{method: 'POST', mode: 'no-cors', body: 'x'}}).then(() => 'sent', () => 'refused')"
PREFLIGHTED = "fetch('{}', {{method: 'PUT', body: 'x'}}).then(answer => answer.text(), () => 'refused')"
SOCKET = """new Promise(done => {{
    const socket = new WebSocket('{}');
    socket.onmessage = said => {{ done(said.data); socket.close(); }};
    socket.onerror = () => done('refused');
}})"""
IMAGE = "new Promise(done => {{ const image = new Image(); image.onerror = () => done('over'); image.src = '{}'; }})"
FORM = """new Promise(done => {{
    const frame = document.querySelector('iframe'), form = document.querySelector('form');
    form.target = 'frame'; form.action = '{}';
    frame.onload = () => done('over');
    form.submit();
}})"""
SUBMIT = "const form = document.querySelector('form'); form.target = ''; form.action = '{}'; form.submit()"
FRAMED = """new Promise(done => {{
    const frame = document.querySelector('iframe');
    frame.onload = () => done('over');
    frame.src = '{}';
}})"""


@dataclass(slots=True)
class Site:
    """A server that says to every page that it may read all. `asked`: methods and paths."""

    title: str
    link: str = "/"
    address: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def serve(self, exits: AsyncExitStack) -> Site:
        app = web.Application()
        app.router.add_route("*", "/socket", self._socket)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self

    async def _answer(self, request: web.Request) -> web.Response:
        # The browser asks for it by itself, once.
        if request.path != "/favicon.ico":
            self.asked.append((request.method, request.path))
        if request.path == "/":
            page = PAGE.format(title=self.title, link=self.link)
            return web.Response(text=page, content_type="text/html", headers=ANY_ORIGIN)
        headers = ANY_ORIGIN | {"Cache-Control": "max-age=600"} if request.path == "/kept" else ANY_ORIGIN
        return web.Response(text=f"{self.title} says", headers=headers)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        self.asked.append(("SOCKET", request.path))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(f"{self.title} says")
        return socket


@dataclass(frozen=True, slots=True)
class Scene:
    proxy: ProxyProcess
    tool: Site
    other: Site
    tab: Tab

    async def run(self, script: str, url: str) -> object:
        """In the document that the tab shows."""
        return await self.tab.run(script.format(url))


@pytest.fixture
async def scene(tmp_path: Path, exits: AsyncExitStack, start_proxy: StartProxy) -> AsyncIterator[Scene]:
    async with chromium(tmp_path) as tab:
        tool = await Site("tool").serve(exits)
        proxy = await start_proxy(write(tmp_path / "manifests", connector("tool", tool.address)))
        other = await Site("other", proxy.host_form("tool") + "/").serve(exits)
        yield Scene(proxy, tool, other, tab)


async def assert_nothing_works(scene: Scene, url: str) -> None:
    """From the document that the tab shows."""
    assert await scene.run(READ, url + "/read") != "tool says"
    assert await scene.run(SOCKET, url.replace("http", "ws", 1) + "/socket") == "refused"
    assert await scene.run(PREFLIGHTED, url + "/put") != "tool says"
    await scene.run(WRITE, url + "/write")
    assert scene.tool.asked == []


@pytest.mark.parametrize("form", ["host", "path"])
async def test_t38_a_page_of_another_origin_can_do_nothing(scene: Scene, form: str) -> None:
    """To the path form on 127.0.0.1 a page of another port there is same-site, to the host form cross-site."""
    url = scene.proxy.host_form("tool") if form == "host" else scene.proxy.path_form("tool")
    await scene.tab.open(scene.other.address + "/")
    await assert_nothing_works(scene, url)
    assert await scene.run(IMAGE, url + "/image") == "over"
    assert await scene.run(FORM, url + "/form") == "over"
    assert await scene.run(FRAMED, url + "/frame") == "over"
    await scene.tab.follow(SUBMIT.format(url + "/post"))
    assert "another origin" in str(await scene.tab.run("document.querySelector('p').innerText"))
    assert scene.tool.asked == []


async def test_t38_a_name_that_leads_to_this_machine_makes_no_page_the_tools_own(scene: Scene) -> None:
    """DNS rebinding: to the browser the answers of this port are of the origin evil.example."""
    path = "/namespaces/default/connectors/tool"
    for host in ("evil.example", "c-tool.default"):
        await scene.tab.open(f"http://{host}:{scene.proxy.port}{path}/read")
        assert await scene.tab.run("location.host") == f"{host}:{scene.proxy.port}"
        assert "--allow-host" in str(await scene.tab.run("document.body.innerText"))
        await assert_nothing_works(scene, f"http://{host}:{scene.proxy.port}{path}")
    admin = f"http://evil.example:{scene.proxy.admin.rpartition(':')[2]}"
    await scene.tab.open(admin + "/metrics")
    assert "connectors_proxy" not in str(await scene.run(READ, admin + "/metrics"))


async def test_t38_the_tool_itself_works(scene: Scene) -> None:
    url = scene.proxy.host_form("tool")
    await scene.tab.open(scene.other.address + "/")
    await scene.tab.follow("document.querySelector('a').click()")
    assert await scene.tab.run("document.title") == "tool"
    assert await scene.run(READ, "/read") == "tool says"
    assert await scene.run(WRITE, "/write") == "sent"
    assert await scene.run(PREFLIGHTED, "/put") == "tool says"
    assert await scene.run(SOCKET, url.replace("http", "ws", 1) + "/socket") == "tool says"
    assert await scene.run(FORM, "/form") == "over"
    assert scene.tool.asked == [
        ("GET", "/"),
        ("GET", "/read"),
        ("POST", "/write"),
        ("PUT", "/put"),
        ("SOCKET", "/socket"),
        ("POST", "/form"),
    ]


@pytest.mark.parametrize("form", ["host", "path"])
async def test_t38_what_the_browser_keeps_of_the_tool_is_for_its_own_pages(scene: Scene, form: str) -> None:
    """Pages of one site share the browser's cache, which no request reaches the proxy for."""
    url = scene.proxy.host_form("tool") if form == "host" else scene.proxy.path_form("tool")
    await scene.tab.open(url + "/kept")
    await scene.tab.open(url + "/")
    assert await scene.run(CACHED, url + "/kept") == "tool says"
    assert scene.tool.asked == [("GET", "/kept"), ("GET", "/")]
    await scene.tab.open(scene.other.address + "/")
    assert await scene.run(CACHED, url + "/kept") == "refused"
