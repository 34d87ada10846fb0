"""How many connections to its tools one Connector may have, and how requests wait for one."""

from __future__ import annotations

import asyncio

import pytest

from proxy.settings import Limits, ProxySettings, Timeouts
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import connector, connector_class
from tests.peers.raw_client import connect
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, answering
from tests.proxy.transcripts.conftest import Serve, Talk
from tests.proxy.transcripts.test_interim import ASK, ASKED, SWITCH, SWITCHED

ONE = ProxySettings(limits=Limits(upstream_connections_per_connector=1))
SOON = ProxySettings(limits=Limits(upstream_connections_per_connector=1), timeouts=Timeouts(connect=0.2))


async def busy(line: Dialogue, earlier: int = 0) -> RawStream:
    """One request of a client runs, over the only connection; returns the client, another one goes on."""
    for _ in range(earlier):
        await line.works()
    line.client_sends(get(b"/first"))
    await line.tool_sees(seen(b"/first"))
    first = line.client
    await line.new_client()
    return first


async def stands_in_line(line: Dialogue, path: bytes, at_all: int) -> RawStream:
    """A request of the newest client waits, as one of `at_all`, these included that run; returns the client."""
    line.client_sends(get(path))
    await in_flight(line, at_all)
    waiting = line.client
    await line.new_client()
    return waiting


async def in_flight(line: Dialogue, number: int) -> None:
    async with asyncio.timeout(10):
        while line.proxy.metric("connectors_proxy_requests_in_flight") != number:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0)


async def answered(line: Dialogue, client: RawStream) -> None:
    line.tool_sends(OK)
    assert await client.read_exactly(len(OK)) == OK


@pytest.mark.parametrize("earlier", [0, 3], ids=["first seen", "seen before"])
async def test_t33_requests_wait_in_order_and_take_the_connection_that_comes_free(talk: Talk, earlier: int) -> None:
    line = await talk(settings=ONE)
    first = await busy(line, earlier)
    second = await stands_in_line(line, b"/second", 2)
    third = await stands_in_line(line, b"/third", 3)
    await answered(line, first)
    await line.tool_sees(seen(b"/second"))
    await answered(line, second)
    await line.tool_sees(seen(b"/third"))
    await answered(line, third)
    assert len(line.upstream.connections) == 1
    await line.works()


async def test_t33_none_that_comes_free_in_time_is_told(talk: Talk) -> None:
    line = await talk(settings=SOON)
    first = await busy(line)
    line.client_sends(get(b"/second"))
    head = await line.client_is_refused(b"429", b"TooManyRequests")
    assert b"\r\nRetry-After: 1\r\n" in head
    limited = {"namespace": "default", "connector": "tool", "limit": "upstream_connections"}
    assert line.proxy.metric("connectors_proxy_limited_requests_total", **limited) == 1
    await answered(line, first)
    # Its connection serves on, and whoever gave up left no place behind.
    await line.works()
    assert len(line.upstream.connections) == 1


async def test_t33_a_connection_that_does_not_stay_makes_room_for_a_new_one(talk: Talk) -> None:
    line = await talk(settings=ONE)
    await busy(line)
    second = await stands_in_line(line, b"/second", 2)
    line.tool.close()
    await line.tool_accepts()
    await line.tool_sees(seen(b"/second"))
    await answered(line, second)


async def test_t15_a_client_that_leaves_the_line_keeps_no_place(talk: Talk) -> None:
    line = await talk(settings=ONE)
    first = await busy(line)
    second = await stands_in_line(line, b"/second", 2)
    third = await stands_in_line(line, b"/third", 3)
    second.reset()
    await in_flight(line, 2)
    await answered(line, first)
    await line.tool_sees(seen(b"/third"))
    third.reset()
    await line.tool.wait_closed()
    await in_flight(line, 0)
    await line.works()


async def test_t33_a_tunnel_keeps_its_connection(talk: Talk) -> None:
    line = await talk(settings=SOON)
    line.client_sends(get(b"/", *ASK))
    await line.tool_sees(seen(b"/", *ASKED))
    line.tool_sends(SWITCH)
    await line.client_gets(SWITCHED)
    tunnel = line.client
    await line.new_client()
    line.client_sends(get(b"/second"))
    await line.client_is_refused(b"429", b"TooManyRequests")
    tunnel.reset()
    await line.tool.wait_closed()
    await line.works()


async def test_t33_one_that_may_be_sent_once_waits_too(talk: Talk) -> None:
    line = await talk(settings=ONE)
    first = await busy(line)
    post = message(b"POST /second HTTP/1.1", b"Host: <proxy>", b"Content-Length: 2", body=b"hi")
    line.client_sends(post)
    await in_flight(line, 2)
    await answered(line, first)
    await line.tool_sees(post.replace(b"<proxy>", b"<tool>"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    assert len(line.upstream.connections) == 1


async def test_t30_one_that_was_handed_a_dead_connection_is_sent_once_more_over_a_new_one(talk: Talk) -> None:
    line = await talk(settings=ONE)
    first = await busy(line)
    second = await stands_in_line(line, b"/second", 2)
    await answered(line, first)
    await line.tool_sees(seen(b"/second"))
    line.tool.close()
    await line.tool_accepts()
    await line.tool_sees(seen(b"/second"))
    await answered(line, second)
    assert len(line.upstream.connections) == 2


async def test_t33_an_idle_connection_to_another_address_makes_room_at_once(talk: Talk) -> None:
    async with RawUpstream(answering(OK)) as extension:
        kind = connector_class("two", addressExtensions=[{"name": "api", "type": "string"}])
        extensions = [{"name": "api", "value": extension.address}]
        line = await talk(kind, class_name="two", settings=SOON, addressExtensions=extensions)
        await line.works()
        for _ in range(2):
            line.client_sends(get(b"/namespaces/default/connectors/tool@api/x"))
            await line.client_gets(OK)
            await line.tool.wait_closed()
            await line.works()
        assert len(extension.connections) == 2


async def test_t33_the_line_of_one_connector_costs_another_nothing(talk: Talk, serve: Serve) -> None:
    line = await talk(settings=ONE)
    async with RawUpstream(answering(OK)) as neighbour:
        tools = connector("tool", line.upstream.address), connector("other", neighbour.address)
        proxy = await serve(*tools, settings=ONE)
        silent = [await connect(proxy.port) for _ in range(20)]
        for client in silent:
            client.send(line.filled(get()))
        other = await connect(proxy.port)
        for _ in range(3):
            other.send(line.filled(get()).replace(b"c-tool", b"c-other"))
            assert await other.read_exactly(len(OK)) == OK
        for client in (*silent, other):
            client.reset()
        await line.tool_accepts()
        await line.tool.wait_closed()
        await line.tool.read_head()


def test_by_default_one_connector_may_have_as_many_connections_as_requests() -> None:
    assert Limits().upstream_connections == Limits().in_flight == 2048
    assert Limits(requests_per_connector=7).upstream_connections == 7
    assert Limits(upstream_connections_per_connector=3).upstream_connections == 3
