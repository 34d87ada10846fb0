from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import web

from connectors.admin_isolation import admin_isolation
from connectors.process.health import AdminServer
from connectors.process.parsers import HostPort

LOCAL = HostPort("127.0.0.1", 0)
OPEN = HostPort("0.0.0.0", 0)  # noqa: S104 - as in a pod


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def answer(
    exits: AsyncExitStack, headers: dict[str, str], listen: HostPort = LOCAL, method: str = "GET"
) -> tuple[int, str]:
    """Status and body of an admin port's answer; `<own>` in a header is its address."""

    async def shown(_: web.Request) -> web.Response:
        return web.Response(text="shown")

    app = web.Application(middlewares=[admin_isolation(listen, frozenset({"tools.example"}))])
    app.router.add_route("*", "/metrics", shown)
    server = AdminServer(app, listen)
    await server.start()
    exits.push_async_callback(server.stop)
    own = f"127.0.0.1:{server.port}"
    sent = {name: value.replace("<own>", own) for name, value in headers.items()}
    session = await exits.enter_async_context(aiohttp.ClientSession())
    async with session.request(method, f"http://{own}/metrics", headers=sent) as got:
        return got.status, await got.text()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "localhost"},
        {"Host": "tools.example:8081"},
        {"Origin": "http://<own>", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
async def test_programs_its_own_pages_and_links_pass(exits: AsyncExitStack, headers: dict[str, str]) -> None:
    assert await answer(exits, headers) == (200, "shown")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "c-tool.default.svc"},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"},
    ],
)
async def test_t38_a_page_does_not_read_the_admin_port(exits: AsyncExitStack, headers: dict[str, str]) -> None:
    status, body = await answer(exits, headers)
    assert status == 403
    assert '"reason":"Forbidden"' in body


async def test_t38_nor_does_it_write_there(exits: AsyncExitStack) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await answer(exits, link, method="POST"))[0] == 403


async def test_a_pod_is_reached_by_its_address_and_not_by_pages(exits: AsyncExitStack) -> None:
    assert await answer(exits, {"Host": "10.1.2.3:8081"}, OPEN) == (200, "shown")
    assert (await answer(exits, {"Host": "10.1.2.3:8081", "Sec-Fetch-Site": "cross-site"}, OPEN))[0] == 403
