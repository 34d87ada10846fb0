from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connectors.inventory import build
from connectors.process.health import AdminServer
from connectors.process.parsers import HostPort
from standalone.api import api_routes
from standalone.status import StatusBoard, localhost_url
from tests.standalone.builders import CANARY, some_objects

BASE = "/apis/connectors.alauda.io/v1alpha1"


@pytest.fixture
async def admin() -> AsyncIterator[str]:
    board = StatusBoard(lambda key: localhost_url(key, 8080), lambda: "t1")
    board.update(build(some_objects()))
    app = web.Application()
    app.add_routes(api_routes(lambda: board.current))
    server = AdminServer(app, HostPort("127.0.0.1", 0))
    await server.start()
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


async def ask(url: str, method: str = "GET") -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.request(method, url) as answer:
        assert answer.content_type == "application/json"
        return answer.status, await answer.json() if method != "HEAD" else await answer.text()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/connectors", ["open", "zebra", "classless", "leaky", "other", "wordy"]),
        ("/namespaces/default/connectors", ["open", "zebra"]),
        ("/namespaces/nowhere/connectors", []),
        ("/connectorclasses", ["git"]),
    ],
)
async def test_lists(admin: str, path: str, names: list[str]) -> None:
    status, body = await ask(admin + BASE + path)
    assert status == 200
    assert [item["metadata"]["name"] for item in body["items"]] == names
    assert body["metadata"]["resourceVersion"] == "1"


async def test_one_connector_with_its_status(admin: str) -> None:
    status, body = await ask(f"{admin}{BASE}/namespaces/default/connectors/zebra")
    assert status == 200
    assert (body["kind"], body["metadata"]["name"]) == ("Connector", "zebra")
    assert body["status"]["proxy"]["httpAddress"]["url"] == "http://c-zebra.default.localhost:8080"
    assert body["status"]["conditions"][-1] == {"type": "Ready", "status": "True", "lastTransitionTime": "t1"}


async def test_one_class_with_its_status(admin: str) -> None:
    status, body = await ask(f"{admin}{BASE}/connectorclasses/git")
    assert status == 200
    assert [condition["type"] for condition in body["status"]["conditions"]] == ["APIReady", "ProxyReady", "Ready"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/namespaces/default/connectors/nope", 'connectors.connectors.alauda.io "nope" not found'),
        ("/namespaces/team/connectors/zebra", 'connectors.connectors.alauda.io "zebra" not found'),
        ("/connectorclasses/nope", 'connectorclasses.connectors.alauda.io "nope" not found'),
        ("/secrets", "the server could not find the requested resource"),
        ("/namespaces/default/secrets/login", "the server could not find the requested resource"),
    ],
)
async def test_what_is_not_there_is_a_status(admin: str, path: str, message: str) -> None:
    status, body = await ask(admin + BASE + path)
    assert (status, body["kind"], body["code"], body["reason"]) == (404, "Status", 404, "NotFound")
    assert body["message"].startswith(message)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_is_written(admin: str, method: str) -> None:
    status, body = await ask(f"{admin}{BASE}/namespaces/default/connectors", method)
    assert (status, body["reason"]) == (405, "MethodNotAllowed")


async def test_head(admin: str) -> None:
    assert await ask(f"{admin}{BASE}/connectors", "HEAD") == (200, "")


async def test_t14_no_answer_holds_a_secret(admin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/connectors", "/connectorclasses", "/namespaces/default/connectors/zebra"):
            async with session.get(admin + BASE + path) as answer:
                assert CANARY not in await answer.text()
