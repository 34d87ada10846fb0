"""Connections of the client's side and of the tool's: keep-alive, pipelining, reuse, and the one retry."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers.dialogue import OK, get, message, seen
from tests.peers.manifests import connector
from tests.peers.raw_client import connected
from tests.proxy.transcripts.conftest import Serve, Talk


async def test_keep_alive_serves_one_request_after_the_other(talk: Talk) -> None:
    line = await talk()
    for target in (b"/a", b"/b", b"/c"):
        line.client_sends(get(target))
        await line.tool_sees(seen(target))
        line.tool_sends(OK)
        await line.client_gets(OK)
    assert len(line.upstream.connections) == 1


async def test_connection_close_of_the_client_is_honoured_and_not_passed_on(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/", b"Connection: close"))
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"))
    await line.client_is_closed()
    await line.new_client()
    await line.works()
    assert len(line.upstream.connections) == 1


async def test_connection_close_of_the_tool_is_honoured_and_not_passed_on(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Connection: close", b"Content-Length: 2", body=b"ok"))
    await line.client_gets(OK)
    await line.tool.wait_closed()
    line.client_sends(get(b"/b"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/b"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_pipelined_requests_are_answered_in_order_one_at_a_time(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/1") + get(b"/2") + get(b"/3"))
    await line.tool_sees(seen(b"/1"))
    assert line.tool.unread == b""
    for number in (b"1", b"2", b"3"):
        if number != b"1":
            await line.tool_sees(seen(b"/" + number))
        answer = message(b"HTTP/1.1 200 OK", b"Content-Length: 1", body=number)
        line.tool_sends(answer)
        await line.client_gets(answer)
    assert len(line.upstream.connections) == 1


async def test_pipelined_behind_a_body(talk: Talk) -> None:
    line = await talk()
    post = (b"POST /p HTTP/1.1", b"Content-Length: 4")
    line.client_sends(message(post[0], b"Host: <proxy>", post[1], body=b"body") + get(b"/next"))
    await line.tool_sees(message(post[0], b"Host: <tool>", post[1], body=b"body"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.tool_sees(seen(b"/next"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_a_head_that_comes_byte_by_byte(talk: Talk) -> None:
    line = await talk()
    for octet in line.filled(get(b"/slow")):
        line.client_sends(bytes((octet,)))
        await asyncio.sleep(0)
    await line.tool_sees(seen(b"/slow"))
    for octet in OK:
        line.tool_sends(bytes((octet,)))
        await asyncio.sleep(0)
    await line.client_gets(OK)


async def test_empty_lines_before_a_request_line_are_ignored(talk: Talk) -> None:
    line = await talk()
    line.client_sends(b"\r\n\r\n" + get())
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_pooled_connection_serves_another_client(talk: Talk) -> None:
    line = await talk()
    await line.works()
    await line.new_client()
    await line.works()
    assert len(line.upstream.connections) == 1


async def test_two_requests_at_once_take_two_connections(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/1"))
    await line.tool_sees(seen(b"/1"))
    await line.new_client()
    line.client_sends(get(b"/2"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/2"))
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_t13_two_connectors_of_one_tool_share_no_connection(talk: Talk, serve: Serve) -> None:
    line = await talk()
    line.proxy.swap(connector("tool", line.upstream.address), connector("other", line.upstream.address))
    await line.works()
    line.client_sends(message(b"GET / HTTP/1.1", b"Host: c-other.default"))
    await line.tool_accepts()
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)
    assert len(line.upstream.connections) == 2


async def test_t13_cookies_of_a_tool_are_never_sent_by_the_proxy(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    cookie = message(b"HTTP/1.1 200 OK", b"Set-Cookie: session=1; Path=/", b"Content-Length: 0")
    line.tool_sends(cookie)
    await line.client_gets(cookie)
    await line.works()


async def test_bytes_that_nobody_asked_for_end_a_pooled_connection(talk: Talk) -> None:
    line = await talk()
    await line.works()
    line.tool_sends(OK)
    await line.tool.wait_closed()
    await line.works()
    assert len(line.upstream.connections) == 2


async def test_bytes_behind_a_response_end_the_connection(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(OK + OK)
    await line.client_gets(OK)
    await line.tool.wait_closed()
    await line.works()


# -- the one retry


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"])
async def test_idempotent_bodyless_request_is_sent_again_once_when_a_pooled_connection_dies(
    talk: Talk, method: bytes
) -> None:
    line = await talk()
    await line.works()
    line.client_sends(message(method + b" /again HTTP/1.1", b"Host: <proxy>"))
    await line.tool_sees(message(method + b" /again HTTP/1.1", b"Host: <tool>"))
    line.tool.reset()
    await line.tool_accepts()
    await line.tool_sees(message(method + b" /again HTTP/1.1", b"Host: <tool>"))
    answer = message(b"HTTP/1.1 204 No Content")
    line.tool_sends(answer)
    await line.client_gets(answer)


async def test_t30_a_retry_is_not_retried(talk: Talk) -> None:
    line = await talk()
    await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool.close()
    await line.tool_accepts()
    await line.tool_sees(seen())
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    await line.works()
    assert len(line.upstream.connections) == 3


async def test_t30_nothing_is_retried_on_a_fresh_connection(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    await line.works()
    assert len(line.upstream.connections) == 2


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        pytest.param((b"POST / HTTP/1.1",), b"", id="POST without a body"),
        pytest.param((b"PATCH / HTTP/1.1",), b"", id="PATCH"),
        pytest.param((b"POST / HTTP/1.1", b"Content-Length: 2"), b"xy", id="POST"),
        pytest.param((b"GET / HTTP/1.1", b"Content-Length: 2"), b"xy", id="GET with a body"),
        pytest.param((b"PUT / HTTP/1.1", b"Transfer-Encoding: chunked"), b"0\r\n\r\n", id="PUT with chunks"),
    ],
)
async def test_t30_what_may_not_be_sent_twice_is_not(talk: Talk, lines: tuple[bytes, ...], body: bytes) -> None:
    line = await talk()
    await line.works()
    line.client_sends(message(lines[0], b"Host: <proxy>", *lines[1:], body=body))
    await line.tool_sees(message(lines[0], b"Host: <tool>", *lines[1:], body=body))
    line.tool.reset()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    await line.new_client()
    await line.works()
    assert len(line.upstream.connections) == 2


async def test_t30_no_retry_after_the_first_byte_of_a_response(talk: Talk) -> None:
    line = await talk()
    await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(b"H")
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.works()
    assert len(line.upstream.connections) == 2


async def test_a_tool_that_closes_at_once_is_noticed_at_once(talk: Talk) -> None:
    line = await talk()
    for _ in range(20):
        line.client_sends(get())
        tool = await line.tool_accepts()
        tool.close()
        await line.client_is_refused(b"502", b"UpstreamUnreachable")
        await tool.wait_lost()
        await tool.read_to_eof()


async def test_clients_share_nothing_but_the_pool(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/1")[:-2])
    async with connected(line.proxy.port) as second:
        second.send(line.filled(get(b"/2")))
        await line.tool_sees(seen(b"/2"))
        line.tool_sends(OK)
        assert await second.read_exactly(len(OK)) == OK
    line.client_sends(b"\r\n")
    await line.tool_sees(seen(b"/1"))
    line.tool_sends(OK)
    await line.client_gets(OK)
