"""What one Connector may use at once, and that no end of a request takes a part of it along."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from proxy.settings import Limits, ProxySettings
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import Manifest, connector, connector_class
from tests.peers.raw_client import connected
from tests.proxy.transcripts.conftest import Serve, Talk
from tests.proxy.transcripts.test_interim import ASK, ASKED, SWITCH, SWITCHED

ONE = ProxySettings(limits=Limits(requests_per_connector=1))


async def one_more_is_refused(line: Dialogue) -> None:
    """While one request runs: over a connection of its own, which goes on."""
    busy = line.client
    await line.new_client()
    line.client_sends(get(b"/more"))
    head = await line.client_is_refused(b"429", b"TooManyRequests")
    assert b"\r\nRetry-After: 1\r\n" in head
    line.others.append(line.client)
    line.client = busy


@pytest.mark.parametrize("earlier", [0, 3], ids=["first seen", "seen before"])
async def test_t33_one_request_too_many_is_refused_and_told(talk: Talk, earlier: int) -> None:
    line = await talk(settings=ONE)
    for _ in range(earlier):
        await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    await one_more_is_refused(line)
    await one_more_is_refused(line)
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.works()
    counted = {"namespace": "default", "connector": "tool", "connector_class": "generic", "method": "GET"}
    assert line.proxy.metric("connectors_proxy_requests_total", **counted, code="429") == 2
    assert line.proxy.metric("connectors_proxy_refusals_total", reason="TooManyRequests") == 2
    limited = {"namespace": "default", "connector": "tool", "limit": "requests"}
    assert line.proxy.metric("connectors_proxy_limited_requests_total", **limited) == 2


async def test_t33_one_silent_tool_costs_another_connector_nothing(talk: Talk, serve: Serve) -> None:
    line = await talk(settings=ONE)
    other = await talk(settings=ONE)
    proxy = await serve(
        connector("tool", line.upstream.address), connector("other", other.upstream.address), settings=ONE
    )
    async with connected(proxy.port) as first, connected(proxy.port) as second:
        first.send(line.filled(get()))
        await line.tool_sees(seen())
        second.send(line.filled(get()).replace(b"c-tool", b"c-other"))
        await other.tool_sees(seen())
        other.tool_sends(OK)
        assert await second.read_exactly(len(OK)) == OK


def test_by_default_one_connector_may_have_half() -> None:
    assert Limits().in_flight == 2048
    assert Limits(connections=5).in_flight == 3
    assert Limits(requests_per_connector=7).in_flight == 7


@pytest.mark.parametrize("of_class", [False, True], ids=["Connector", "class"])
async def test_t33_an_annotation_lowers_and_never_raises(talk: Talk, of_class: bool) -> None:
    two = ProxySettings(limits=Limits(requests_per_connector=2))
    line = await talk(connector_class("plain"), class_name="plain", settings=two)
    await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    # While a request runs: it goes on, over the same connection, and counts.
    line.proxy.swap(*annotated(line, "1", of_class=of_class))
    await one_more_is_refused(line)
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.works()
    line.proxy.swap(*annotated(line, "9", of_class=of_class))
    line.client_sends(get())
    await line.tool_sees(seen())
    second = line.client
    await line.new_client()
    line.client_sends(get(b"/second"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/second"))
    await one_more_is_refused(line)
    second.reset()


async def test_t33_each_worker_has_its_share_of_what_an_annotation_allows(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(workers=4))
    line.proxy.swap(*annotated(line, "4", of_class=False))
    await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    await one_more_is_refused(line)
    line.tool_sends(OK)
    await line.client_gets(OK)


def annotated(line: Dialogue, most: str, *, of_class: bool) -> tuple[Manifest, ...]:
    """The same Connector and class, one of them with the annotation."""
    metadata = {"annotations": {"connectors.cpaas.io/max-requests": most}}
    kind = connector_class("plain")
    if of_class:
        kind["metadata"] |= metadata
    return kind, connector("tool", line.upstream.address, "plain", metadata={} if of_class else metadata)


async def _answered(line: Dialogue) -> None:
    line.tool_sends(OK)
    await line.client_gets(OK)


async def _client_leaves(line: Dialogue) -> None:
    line.client.reset()
    await line.tool.wait_closed()
    await line.new_client()


async def _tool_breaks_off(line: Dialogue) -> None:
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"abc"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"abc"))
    line.tool.reset()
    await line.client_is_reset()
    await line.new_client()


async def _tool_speaks_no_http(line: Dialogue) -> None:
    line.tool_sends(b"SSH-2.0-tool\r\n")
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.tool.wait_closed()


ENDS = [_answered, _client_leaves, _tool_breaks_off, _tool_speaks_no_http]


@pytest.mark.parametrize("earlier", [0, 3], ids=["first seen", "seen before"])
@pytest.mark.parametrize("ends", ENDS)
async def test_t33_however_one_ends_the_next_has_its_place(
    talk: Talk, earlier: int, ends: Callable[[Dialogue], Awaitable[None]]
) -> None:
    line = await talk(settings=ONE)
    for _ in range(earlier):
        await line.works()
    for _ in range(2):
        line.client_sends(get())
        if line._tool is None or line.tool.is_closed:
            await line.tool_accepts()
        await line.tool_sees(seen())
        await one_more_is_refused(line)
        await ends(line)
    await line.works()


async def test_t33_a_tunnel_counts_until_its_end(talk: Talk) -> None:
    line = await talk(settings=ONE)
    line.client_sends(get(b"/", *ASK))
    await line.tool_sees(seen(b"/", *ASKED))
    line.tool_sends(SWITCH)
    await line.client_gets(SWITCHED)
    await one_more_is_refused(line)
    line.client.reset()
    await line.tool.wait_closed()
    await line.new_client()
    await line.works()


async def test_t33_one_that_is_sent_twice_counts_once(talk: Talk) -> None:
    line = await talk(settings=ONE)
    await line.works()
    line.tool.close()
    line.client_sends(get())
    await line.tool_accepts()
    await line.tool_sees(seen())
    await one_more_is_refused(line)
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.works()


async def test_t33_a_tool_that_is_not_there_keeps_no_place(serve: Serve) -> None:
    proxy = await serve(connector("tool", "http://127.0.0.1:1"), settings=ONE)
    async with connected(proxy.port) as client:
        for _ in range(3):
            client.send(message(b"GET / HTTP/1.1", b"Host: c-tool.default.localhost"))
            head = await client.read_head()
            assert head.startswith(b"HTTP/1.1 502 "), head
            await client.read_exactly(int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]))
