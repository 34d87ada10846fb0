from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from msgspec import Struct

from standalone.admin_port import AdminPortError, decoded, fetch, parse_server
from tests.peers.tool import serve_tool


class Thing(Struct):
    name: str


@pytest.mark.parametrize(
    "text",
    ["", "127.0.0.1:8081", "ftp://h", "http://", "http://h/path", "http://h?x", "http://h#x", "http://u@h",
     "http://u:p@h", "http://h:0", "http://h:x", "http://["],
)  # fmt: skip
def test_what_is_no_address_of_an_admin_port(text: str) -> None:
    with pytest.raises(ValueError, match="it takes the http:// address of an admin port"):
        parse_server(text)


def test_a_closing_slash_goes() -> None:
    assert parse_server("http://127.0.0.1:8081/") == "http://127.0.0.1:8081"


async def test_a_post_is_json(exits: AsyncExitStack) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.content_type} {await request.text()}")

    address = await serve_tool(exits, answer)
    assert await asyncio.to_thread(fetch, f"{address}/x", b"{}") == b"POST application/json {}"
    assert (await asyncio.to_thread(fetch, f"{address}/x")).startswith(b"GET application/octet-stream")


async def test_refusals(exits: AsyncExitStack) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/odd":
            return web.Response(status=500, text="hello")
        return web.json_response({"message": "gone", "reason": "NotFound", "code": 404}, status=404)

    address = await serve_tool(exits, answer)
    with pytest.raises(AdminPortError, match=r"Error from server \(NotFound\): gone") as missing:
        await asyncio.to_thread(fetch, f"{address}/x")
    assert missing.value.not_found
    with pytest.raises(AdminPortError, match="answered 500, not as an admin port does"):
        await asyncio.to_thread(fetch, f"{address}/odd")


def test_nobody_there() -> None:
    with pytest.raises(AdminPortError, match=r"cannot reach http://127\.0\.0\.1:1: .*connectors serve"):
        fetch("http://127.0.0.1:1/x")


def test_decoding() -> None:
    assert decoded(b'{"name": "x"}', Thing).name == "x"
    with pytest.raises(AdminPortError, match="not understood"):
        decoded(b'{"other": 1}', Thing)
    with pytest.raises(AdminPortError, match="not understood"):
        decoded(b"\xff", Thing)
