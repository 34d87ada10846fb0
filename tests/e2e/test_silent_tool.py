"""Three hundred requests to a tool that does not come to an end, and a client of another Connector beside them."""

from __future__ import annotations

import asyncio
import re
import resource
import time
from pathlib import Path

import aiohttp
import pytest

from tests.peers.dialogue import OK, message
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, Script, answering

pytestmark = pytest.mark.e2e

LOUD = 300
PLACES = 500
"""Of which one Connector may have half."""
REQUESTS = 200
IDLE = 0.025
"""Seconds. Where 99 % of a client's requests took less before, the machine has nothing else to do."""
BESIDE = 0.25
"""Seconds within which they end then, beside the others."""
PATIENCE = 3.0
"""Seconds after which no answer is one."""
_LIMITED = re.compile(r'^connectors_proxy_limited_requests_total{connector="silent",limit="requests",.*} (.*)$', re.M)
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
SWITCH = message(b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket")
STREAM = message(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", body=b"data: x\n\n")


def never_ending(answer: bytes) -> Script:
    """A tool that sends this to each request, and nothing more."""

    async def script(connection: RawStream) -> None:
        await connection.read_head(seconds=60.0)
        connection.send(answer)
        await connection.wait_closed(seconds=60.0)

    return script


async def asked(port: int, fields: bytes) -> tuple[bytes, asyncio.StreamWriter]:
    """The status of a request to the Connector of that tool, empty if none came; and what keeps it running."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /x HTTP/1.1\r\nHost: c-silent.default.localhost\r\n" + fields + b"\r\n")
    try:
        async with asyncio.timeout(PATIENCE):
            return (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1], writer
    except TimeoutError:
        return b"", writer


async def p99_of(port: int) -> float:
    """Seconds of 99 % of a client's requests to another Connector, each of which succeeds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    took = []
    for _ in range(REQUESTS):
        began = time.monotonic()
        writer.write(b"GET /x HTTP/1.1\r\nHost: c-other.default.localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        await reader.readexactly(2)
        took.append(time.monotonic() - began)
    writer.close()
    await writer.wait_closed()
    return sorted(took)[REQUESTS * 99 // 100]


async def limited(proxy: ProxyProcess) -> float:
    """How many requests to the silent tool's Connector got 429 for its limit."""
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as answer:
        text = await answer.text()
    found = _LIMITED.search(text)
    assert "Traceback" not in proxy.child.log
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(
    ("fields", "answer", "status"),
    [(b"", b"", b""), (UPGRADE, SWITCH, b"101"), (b"", STREAM, b"200")],
    ids=["no answer", "tunnels", "streams"],
)
async def test_t33_three_hundred_requests_to_a_silent_tool_cost_another_connector_nothing(
    start_proxy: StartProxy, tmp_path: Path, fields: bytes, answer: bytes, status: bytes
) -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 3 * LOUD, "raise ulimit -n"
    async with RawUpstream(never_ending(answer)) as silent, RawUpstream(answering(OK)) as other:
        tools = connector("silent", silent.address), connector("other", other.address)
        folder = write(tmp_path / "manifests", *tools)
        proxy = await start_proxy(folder, "--access-log", "off", "--max-connections", str(PLACES))
        before = await p99_of(proxy.port)
        running = [asyncio.create_task(asked(proxy.port, fields)) for _ in range(LOUD)]
        beside = await p99_of(proxy.port)
        found = await asyncio.gather(*running)
        after = await p99_of(proxy.port)
        statuses = [got for got, _ in found]
        assert statuses.count(status) == PLACES // 2
        assert statuses.count(b"429") == LOUD - PLACES // 2 == await limited(proxy)
        if before < IDLE:
            assert max(beside, after) < BESIDE, f"{before:.4f} s before"
        for _, writer in found:
            writer.transport.abort()
