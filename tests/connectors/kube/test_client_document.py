from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.errors import ForbiddenError, NotFoundError, UnreadableError
from tests.peers.tool import serve_tool

KEYS = "/openid/v1/jwks"


async def answer(request: web.Request) -> web.Response:
    # As kube-apiserver does, whose answer has one media type and no other.
    if request.path != KEYS:
        return web.Response(status=403 if request.path == "/forbidden" else 404)
    if "application/jwk-set+json" not in request.headers["Accept"]:
        return web.Response(status=406)
    return web.Response(body=b"k" * 1000, content_type="application/jwk-set+json")


async def test_what_is_published_at_a_path_is_read_to_its_limit(exits: AsyncExitStack, tmp_path: Path) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": await serve_tool(exits, answer)}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")
    client = KubeClient(Access(tmp_path / "kubeconfig"))
    await client.start()
    exits.push_async_callback(client.close)
    assert await client.document(KEYS, 1000) == b"k" * 1000
    assert client.requests["get", KEYS, "200"] == 1
    with pytest.raises(UnreadableError):
        await client.document(KEYS, 999)
    with pytest.raises(NotFoundError):
        await client.document("/.well-known/openid-configuration", 1000)
    with pytest.raises(ForbiddenError):
        await client.document("/forbidden", 1000)
