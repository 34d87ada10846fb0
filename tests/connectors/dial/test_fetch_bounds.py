from __future__ import annotations

import asyncio
import ssl
import time

import pytest
import trustme

from connectors.dial.fetch import MAX_RECEIVED
from connectors.dial.kind import FailureKind
from connectors.http.response_reader import MAX_BODY, MAX_INTERIM
from tests.connectors.dial.sending import answer_of, failure_of, get, sending_client
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, answering

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
KERNEL = 24 * 1024**2
"""Bytes that the buffers on both sides may hold, at most."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("tls", [True, False])
@pytest.mark.parametrize(
    ("begin", "again", "reads"),
    [
        (b"", b"HTTP/1.1 100 \r\n\r\n", 1),
        (b"", b"HTTP/1.1 103 E\r\nLink: " + b"x" * 15_000 + b"\r\n\r\n", MAX_RECEIVED),
        (b"", b"\r\n", MAX_RECEIVED),
        (CHUNKED + b"1;", b"x", MAX_RECEIVED),
        (CHUNKED + b"0\r\n", b"X-Trailer: x\r\n", 1),
    ],
)
async def test_what_has_no_end_is_read_to_a_bound(
    tls: bool, begin: bytes, again: bytes, reads: int, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    sent = 0

    async def flood(connection: RawStream) -> None:
        nonlocal sent
        await connection.read_head()
        connection.send(begin)
        piece = again * (65536 // len(again))
        while not connection.lost:
            await connection.send_all(piece)
            sent += len(piece)
            await asyncio.sleep(0)  # where there is room, and where the connection broke, nothing above waits

    async with RawUpstream(flood, tls=server_tls if tls else None) as tool, sending_client(authority) as client:
        async with asyncio.timeout(20):
            failure = await failure_of(client, get(tool.address))
        await tool.connections[0].wait_lost()
    assert failure.kind in (FailureKind.PROTOCOL, FailureKind.UNREACHABLE)
    assert sent < reads + KERNEL


async def test_interim_answers_pass_up_to_a_number() -> None:
    async with RawUpstream(answering(EARLY * MAX_INTERIM + OK)) as tool:
        assert (await answer_of(tool.address)).body == b"ok"
    async with RawUpstream(answering(EARLY * (MAX_INTERIM + 1) + OK)) as tool, sending_client() as client:
        assert (await failure_of(client, get(tool.address))).kind is FailureKind.PROTOCOL


async def test_other_probes_go_on_while_tools_flood() -> None:
    """64 probes at once, whose tools have a MiB of interim answers ready: the loop has a turn every now and then."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with RawUpstream(answering(b"HTTP/1.1 100 \r\n\r\n" * 60_000)) as tool, sending_client() as client:
        watching = asyncio.create_task(watch())
        await asyncio.gather(*(failure_of(client, get(tool.address)) for _ in range(64)))
        watching.cancel()
    # It was 7 s, and is 0.1: of the CPU, which nothing else on the machine can take.
    assert longest < 2


@pytest.mark.parametrize("tls", [True, False])
async def test_a_mebibyte_in_chunks_of_a_byte_is_read(
    tls: bool, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    body = CHUNKED + b"1\r\nx\r\n" * MAX_BODY + b"0\r\n\r\n"
    async with RawUpstream(answering(body), tls=server_tls if tls else None) as tool:
        answer = await answer_of(tool.address, "/", authority)
    assert (len(answer.body), answer.complete) == (MAX_BODY, True)
