"""Draining: what runs may finish, what idles ends at once, what does not end is cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import OK, get, message, seen
from tests.peers.raw_client import connect
from tests.proxy.transcripts.conftest import Talk

GOT_LAST = message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok")


async def until(true: Callable[[], bool]) -> None:
    """Let the loop turn until `true`: what is waited for shows on neither side of the wire."""
    while not true():  # noqa: ASYNC110 - there is no event for it
        await asyncio.sleep(0)


async def test_idle_connections_end_at_once(talk: Talk) -> None:
    line = await talk()
    await line.works()
    await line.proxy.proxy.drain()
    await line.client_is_closed()
    await line.tool.wait_closed()


async def test_new_connections_are_refused(talk: Talk) -> None:
    line = await talk()
    port = line.proxy.port
    await line.proxy.proxy.drain()
    with pytest.raises(ConnectionRefusedError):
        await connect(port)


async def test_a_running_request_finishes(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"o"))
    head = await line.client.read_head()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not draining.done()
    line.tool_sends(b"k")
    await line.client_gets(b"ok")
    await line.client_is_closed()
    await draining


async def test_a_head_that_is_on_its_way_gets_a_refusal(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get()[:-2])
    await until(lambda: any(connection._buffer for connection in line.proxy.proxy._server._connections))
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.client_sends(b"\r\n")
    await line.client_is_refused(b"503", b"ShuttingDown")
    await line.client_is_closed()
    await draining
    assert line.upstream.connections == []


async def test_what_does_not_end_in_time_is_cut(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(timeouts=Timeouts(drain=0.1)))
    line.client_sends(get())
    await line.tool_sees(seen())
    await line.proxy.proxy.drain()
    await line.client.wait_lost()
    await line.tool.wait_closed()
    assert line.client.received == b""


async def test_a_connection_without_a_request_does_not_hold_the_end_up(talk: Talk) -> None:
    line = await talk()
    await until(lambda: bool(line.proxy.proxy._server._connections))
    async with asyncio.timeout(2):
        await line.proxy.proxy.drain()
    await line.client.wait_closed()


async def test_response_that_begins_during_the_drain_says_that_the_connection_ends(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.tool_sends(OK)
    await line.client_gets(GOT_LAST)
    await line.client_is_closed()
    await draining


async def test_what_is_cut_off_at_the_end_is_not_said_to_have_left(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(timeouts=Timeouts(drain=0.1)))
    line.client_sends(get())
    await line.tool_sees(seen())
    await line.proxy.proxy.drain()
    await line.client_is_reset()
    await until(lambda: "reason=" in line.proxy.log.getvalue())
    assert 'reason="shut down"' in line.proxy.log.getvalue()


async def test_who_leaves_meanwhile_is_said_to_have_left(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.client.transport.abort()
    await draining
    await until(lambda: "reason=" in line.proxy.log.getvalue())
    assert 'reason="client closed"' in line.proxy.log.getvalue()
