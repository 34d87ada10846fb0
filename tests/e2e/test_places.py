"""One client with all the connections that it can get, and another one beside it."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.peers.dialogue import OK
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import connector, write
from tests.peers.raw_upstream import RawUpstream, answering

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="two addresses of one loopback"),
]

PLACES = 128
LOUD = 3 * PLACES
"""Connections that the loud client keeps open, or tries to."""
CLIENTS = 40
REQUESTS = 3


class Loud:
    """A client that opens connections without an end, and replaces those that are closed."""

    def __init__(self, port: int, sent: bytes) -> None:
        self._port = port
        self._sent = sent
        self._kept: deque[asyncio.Transport] = deque()
        self.full = asyncio.Event()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                with suppress(OSError):
                    transport, _ = await loop.create_connection(asyncio.Protocol, "127.0.0.1", self._port)
                    transport.write(self._sent)
                    self._kept.append(transport)
                if len(self._kept) > LOUD:
                    self._kept.popleft().abort()
                    self.full.set()
                await asyncio.sleep(0)
        finally:
            for transport in self._kept:
                transport.abort()


async def answered(port: int) -> list[bytes]:
    """The statuses that a client of another address gets, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    statuses = []
    for _ in range(REQUESTS):
        writer.write(b"GET /x HTTP/1.1\r\nHost: c-tool.default.localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        statuses.append(head.split(b" ")[1])
        await reader.readexactly(2)
    writer.close()
    await writer.wait_closed()
    return statuses


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: "], ids=["idle", "half a head"])
async def test_t33_one_client_with_all_connections_keeps_no_other_out(
    start_proxy: StartProxy, tmp_path: Path, sent: bytes
) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2 * LOUD, "raise ulimit -n"
    async with RawUpstream(answering(OK)) as tool:
        folder = write(tmp_path / "manifests", connector("tool", tool.address))
        proxy = await start_proxy(folder, "--access-log", "off", "--max-connections", str(PLACES))
        client = Loud(proxy.port, sent)
        flood = asyncio.create_task(client.run())
        await client.full.wait()
        statuses = [status for _ in range(CLIENTS) for status in await answered(proxy.port)]
        flood.cancel()
        await asyncio.wait([flood])
        assert statuses == [b"200"] * CLIENTS * REQUESTS
        async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as answer:
            text = await answer.text()
        made_room = text.partition('connectors_proxy_client_connections_closed_total{reason="made_room"} ')[2]
        assert float(made_room.partition("\n")[0]) > LOUD - PLACES
        assert 'connections_closed_total{reason="no_room"} 0.0' in text
        assert "Traceback" not in proxy.child.log
