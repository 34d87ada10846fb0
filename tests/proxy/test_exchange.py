from __future__ import annotations

from typing import Any

import pytest

from connectors.kube.resources import Resource
from proxy.exchange import IDEMPOTENT
from proxy.settings import AccessLogFormat, ClientAuth, ProxySettings
from proxy.wiring import Cluster
from tests.peers.clock import FakeClock
from tests.peers.inner_proxy import start_inner_proxy
from tests.peers.raw_client import connected
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.decisions import tool
from tests.proxy.transcripts.remembering.scene import until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_t30_what_may_be_sent_twice() -> None:
    assert {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"} == IDEMPOTENT


@pytest.mark.parametrize(
    ("head", "kept", "closed"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\n", True, False, id="bodyless"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", False, True, id="close"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n", False, True, id="HTTP/1.0"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n", False, True, id="body on its way"),
    ],
)
async def test_what_becomes_of_a_refused_clients_connection(head: bytes, kept: bool, closed: bool) -> None:
    proxy = await start_inner_proxy()
    async with connected(proxy.port) as client:
        client.send(head + b"\r\n")
        answer = await client.read_head()
        assert (b"Connection: close\r\n" in answer) is not kept
        if closed:
            await client.wait_closed()
        else:
            length = int(answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
            await client.read_exactly(length)
            client.send(head + b"\r\n")
            assert await client.read_head()
    await proxy.proxy.drain()


async def test_one_record_for_each_request(raw_upstream: RawUpstream) -> None:
    settings = ProxySettings(access_log=AccessLogFormat.TEXT)
    proxy = await start_inner_proxy(tool(raw_upstream.address), settings=settings)
    async with connected(proxy.port) as client:
        client.send(b"GET /x?canary-55aa HTTP/1.1\r\nHost: c-tool.team\r\n\r\n")
        peer = await raw_upstream.accept()
        await peer.read_head()
        peer.send(OK)
        await client.read_head()
        client.send(b"TRACE /y HTTP/1.1\r\nHost: c-tool.team\r\n\r\n")
        refused = await client.read_head()
        assert b"HTTP/1.1 405" in refused
    await proxy.proxy.drain()
    first, second = proxy.log.getvalue().splitlines()
    assert "connector=team/tool method=GET path=/x status=200" in first
    assert "method=TRACE path=/y status=405" in second
    request_id = refused.partition(b"\r\nX-Request-Id: ")[2].partition(b"\r\n")[0].decode()
    assert second.endswith(f"reason=MethodNotAllowed request={request_id}")
    assert first.rpartition("=")[2].removesuffix("1") == request_id.removesuffix("2")
    assert "canary" not in proxy.log.getvalue()


async def test_t15_a_client_that_leaves_in_the_turn_in_which_its_request_begins(raw_upstream: RawUpstream) -> None:
    proxy = await start_inner_proxy(tool(raw_upstream.address))
    async with connected(proxy.port) as client:
        await until(lambda: len(proxy.proxy._server._connections) == 1)
        (connection,) = proxy.proxy._server._connections
        await until(lambda: connection.transport is not None)
        assert connection.transport
        connection.transport.abort()
        # As a request that was read ahead begins: in a turn of its own, behind which the end is told.
        connection.data_received(b"GET /x HTTP/1.1\r\nHost: c-tool.team\r\n\r\n")
        await client.wait_closed()
    await proxy.proxy.drain()
    assert "path=/x status=499 in=0 out=0" in proxy.log.getvalue()
    assert proxy.metric("connectors_proxy_requests_in_flight") == 0


class Broken:
    """An API server's client with a defect."""

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        raise ZeroDivisionError


async def test_a_defect_is_recorded_as_such(raw_upstream: RawUpstream, caplog: pytest.LogCaptureFixture) -> None:
    settings = ProxySettings(access_log=AccessLogFormat.TEXT, client_auth=ClientAuth.KUBERNETES)
    cluster = Cluster(Broken(), FakeClock())
    proxy = await start_inner_proxy(tool(raw_upstream.address), settings=settings, cluster=cluster)
    async with connected(proxy.port) as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: c-tool.team\r\nAuthorization: Bearer canary-token\r\n\r\n")
        await client.wait_lost()
    await proxy.proxy.drain()
    assert "status=499" in proxy.log.getvalue()
    assert 'reason="internal error"' in proxy.log.getvalue()
    assert "please report it" in caplog.text
    assert "canary-token" not in caplog.text
