"""A Secret is replaced while many clients work: nobody notices but the tool."""

from __future__ import annotations

import asyncio

from tests.peers.dialogue import HOST
from tests.peers.manifests import Manifest, auth, bearer_token, connector
from tests.peers.raw_client import connected
from tests.peers.raw_stream import PeerTimeoutError, RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.transcripts.conftest import Serve

CLIENTS = 50
REQUEST = b"GET / HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"


async def echo_token(connection: RawStream) -> None:
    """Answers with the token that it was shown, six bytes long."""
    while True:
        try:
            head = await connection.read_head(seconds=60.0)
        except PeerTimeoutError:
            return
        token = head.partition(b"Authorization: Bearer ")[2][:6]
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + token)


def objects(upstream: RawUpstream, token: str) -> tuple[Manifest, ...]:
    return connector("tool", upstream.address, auth=auth("bearerAuth", "s")), bearer_token("s", token)


async def test_rotation_under_load_fails_no_request(serve: Serve) -> None:
    async with RawUpstream(echo_token) as upstream:
        proxy = await serve(*objects(upstream, "old-01"))
        swapped, stop = asyncio.Event(), asyncio.Event()
        seen: dict[bytes, int] = {b"old-01": 0, b"new-02": 0}
        halfway = asyncio.Event()

        async def client() -> None:
            async with connected(proxy.port) as stream:
                while not stop.is_set():
                    after = swapped.is_set()
                    stream.send(REQUEST)
                    await stream.read_until(b"Content-Length: 6\r\n\r\n")
                    token = await stream.read_exactly(6)
                    assert token in ((b"new-02",) if after else (b"old-01", b"new-02"))
                    seen[token] += 1
                    if sum(seen.values()) > 20 * CLIENTS:
                        halfway.set()
                    if seen[b"new-02"] > 20 * CLIENTS:
                        stop.set()

        async def swap() -> None:
            await halfway.wait()
            proxy.swap(*objects(upstream, "new-02"))
            swapped.set()

        async with asyncio.TaskGroup() as group:
            group.create_task(swap())
            for _ in range(CLIENTS):
                group.create_task(client())
        assert seen[b"old-01"] > 0
        assert proxy.metric("connectors_proxy_upstream_connections", state="active") == 0
        assert sum(proxy.metric("connectors_proxy_refusals_total", reason=r) for r in ("UpstreamUnreachable",)) == 0
