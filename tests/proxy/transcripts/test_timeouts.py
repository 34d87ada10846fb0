"""Each timeout strikes, and none strikes while something moves. The values are small; the waiting is the test."""

from __future__ import annotations

import asyncio

import pytest

from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk

SHORT = 0.2
"""Seconds; a busy machine may take a part of them between two bytes."""
LONG = 30.0


def with_timeouts(**values: float) -> ProxySettings:
    return ProxySettings(timeouts=Timeouts(**values))


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost:"], ids=["nothing", "half a head"])
async def test_head_that_does_not_come(talk: Talk, sent: bytes) -> None:
    line = await talk(settings=with_timeouts(head=SHORT))
    line.client_sends(sent)
    await line.client.wait_closed()
    assert line.client.received == b""


async def test_head_that_trickles(talk: Talk) -> None:
    """The time runs from a head's first byte to its last, whatever comes between."""
    line = await talk(settings=with_timeouts(head=SHORT))
    for octet in get(b"/" + b"x" * 1000):
        if line.client.is_closed:
            break
        line.client_sends(bytes((octet,)))
        await asyncio.sleep(SHORT / 20)
    assert line.client.is_closed
    assert line.client.received == b""


async def test_half_a_head_behind_a_whole_request(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT, keep_alive=LONG))
    line.client_sends(get() + b"GET /half")
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.client.wait_closed()


async def test_empty_lines_do_not_stretch_the_head(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT))
    for _ in range(200):
        if line.client.is_closed:
            break
        line.client_sends(b"\r\n")
        await asyncio.sleep(SHORT / 10)
    assert line.client.is_closed


async def test_idle_client_connection(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT, keep_alive=SHORT))
    await line.works()
    await line.client_is_closed()


async def test_keep_alive_is_not_the_time_for_a_head(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT, keep_alive=LONG))
    await line.works()
    await asyncio.sleep(2 * SHORT)
    await line.works()


async def test_idle_upstream_connection(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT, keep_alive=LONG, upstream_idle=SHORT))
    await line.works()
    await line.tool.wait_closed()
    await line.works()


async def test_upstream_connection_is_not_kept_longer_than_the_tool_says(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Keep-Alive: timeout=1, max=5", b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 0"))
    await line.tool.wait_closed()


async def test_first_byte_that_does_not_come_behind_a_body(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(first_byte=SHORT))
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", b"Content-Length: 1", body=b"x"))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", b"Content-Length: 1", body=b"x"))
    await line.client_is_refused(b"504", b"UpstreamTimeout")


async def test_continue_that_does_not_come(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(first_byte=SHORT))
    expecting = (b"Expect: 100-continue", b"Content-Length: 1")
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", *expecting))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", *expecting))
    await line.client_is_refused(b"504", b"UpstreamTimeout")


async def test_first_byte_is_not_waited_for_while_the_body_moves(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(first_byte=SHORT))
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", b"Content-Length: 10"))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", b"Content-Length: 10"))
    for _ in range(10):
        await asyncio.sleep(SHORT / 4)
        line.client_sends(b"x")
        await line.tool_sees(b"x")
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_response_that_stops_is_cut(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(idle=SHORT))
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"some"))
    assert await line.client_is_reset() == b""
    await line.tool.wait_closed()


async def test_request_body_that_stops_is_cut(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(first_byte=SHORT))
    line.client_sends(message(b"POST / HTTP/1.1", b"Host: <proxy>", b"Content-Length: 9", body=b"some"))
    await line.tool_sees(message(b"POST / HTTP/1.1", b"Host: <tool>", b"Content-Length: 9", body=b"some"))
    await line.client.wait_lost()
    await line.tool.wait_closed()


async def test_client_that_never_reads_is_cut(talk: Talk) -> None:
    line = await talk(settings=with_timeouts(head=SHORT, idle=4 * SHORT))
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client.pause_reading()
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 50000000"))
    line.tool.send(b"x" * 50_000_000)
    await line.tool.wait_closed()
