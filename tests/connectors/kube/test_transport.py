"""Credentials and CAs that change while the client runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest
import trustme

from connectors.kube.access import Access
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import NotFoundError, UnauthorizedError, UnavailableError
from connectors.kube.resources import SECRETS
from connectors.kube.transport import RELOAD_EVERY, KubeRequest
from tests.peers.clock import FakeClock
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import stored_secret


async def missing(client: KubeClient) -> None:
    """A request that is answered, whatever there is."""
    with pytest.raises(NotFoundError):
        await client.get(SECRETS, "none", "team")


async def test_a_token_that_expires_is_read_again_at_once(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1\n")
    server.token = "t1"
    client = KubeClient(Access(server.kubeconfig(tmp_path, token_file=token)), clock=FakeClock())
    await client.start()
    await missing(client)
    token.write_text("t2\n")
    server.token = "t2"
    await asyncio.gather(*(missing(client) for _ in range(5)))
    assert client.requests["get", "secrets", "404"] == 6
    assert client.requests["get", "secrets", "401"] <= 5
    server.token = "t3"
    before = len(server.requests)
    with pytest.raises(UnauthorizedError):
        await client.get(SECRETS, "none", "team")
    assert len(server.requests) == before + 1, "the same token is not tried twice"
    token.write_text("t4\n")
    with pytest.raises(UnauthorizedError):
        await client.get(SECRETS, "none", "team")
    assert len(server.requests) == before + 3, "a fresh one is tried once"
    await client.close()


async def test_a_token_that_changes_is_used_within_a_minute(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1\n")
    clock = FakeClock()
    client = KubeClient(Access(server.kubeconfig(tmp_path, token_file=token)), clock=clock)
    await client.start()
    await missing(client)
    token.write_text("t2-longer\n")
    server.token = "t2-longer"
    await clock.advance(RELOAD_EVERY)
    await missing(client)
    assert client.requests["get", "secrets", "401"] == 0
    await client.close()


async def test_a_file_that_is_half_written_leaves_the_old_access(server: FakeApiServer, tmp_path: Path) -> None:
    clock = FakeClock()
    config = server.kubeconfig(tmp_path, token="t1")
    client = KubeClient(Access(config), clock=clock)
    await client.start()
    whole = config.read_text()
    config.write_text(whole[: len(whole) // 2])
    await clock.advance(RELOAD_EVERY)
    await missing(client)
    await client.close()


async def test_a_watch_outlives_a_new_token(server: FakeApiServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1\n")
    server.token = "t1"
    client = KubeClient(Access(server.kubeconfig(tmp_path, token_file=token)), clock=FakeClock())
    await client.start()
    async with aclosing(client.watch(SECRETS, Selector(), str(server.objects.version), timeout=300)) as events:
        first = asyncio.ensure_future(anext(events))
        await server.watching()
        token.write_text("t2\n")
        server.token = "t2"
        await missing(client)
        server.put(stored_secret("a"))
        assert (await first).kind == "ADDED"
    await client.close()


Serve = Callable[[trustme.CA], ssl.SSLContext]


def context(ca: trustme.CA) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(made)
    return made


async def test_a_new_ca_is_read_when_the_handshake_fails(tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    bundle = tmp_path / "ca.crt"
    old.cert_pem.write_to_path(str(bundle))
    async with FakeApiServer(context(old)) as server:
        client = KubeClient(Access(server.kubeconfig(tmp_path, ca=bundle)), clock=FakeClock())
        await client.start()
        await missing(client)
        await server.stop()
        server.tls = context(new)
        await server.start()
        with pytest.raises(UnavailableError, match="no trusted TLS connection"):
            await client.get(SECRETS, "none", "team")
        new.cert_pem.write_to_path(str(bundle))
        await missing(client)
        await client.close()


def test_a_call_shows_no_body() -> None:
    call = KubeRequest("create", "POST", "tokenreviews", "/path", {"a": "b c"}, {"spec": {"token": "canary-secret"}})
    assert "canary" not in repr(call)
    assert call.target == "/path?a=b+c"
