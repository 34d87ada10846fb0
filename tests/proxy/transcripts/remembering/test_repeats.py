"""What goes out twice and what never does, whether or not the request is known (invariant 21)."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.scene import TIMES

REPEATED = [b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"]
ONCE = [b"POST", b"PATCH", b"PROPFIND"]
TIMES_BEFORE = pytest.mark.parametrize("times", [1, TIMES], ids=["seen once", "known"])
"""One request at least, so that there is a kept connection."""


def asking(method: bytes, body: bytes | None = None, *lines: bytes) -> bytes:
    length = () if body is None else (b"Content-Length: %d" % len(body),)
    return message(method + b" /x HTTP/1.1", b"Host: <proxy>", *lines, *length, body=body or b"")


def at_tool(request: bytes) -> bytes:
    return request.replace(b"<proxy>", b"<tool>")


def answer_to(request: bytes) -> bytes:
    return OK[:-2] if request.startswith(b"HEAD ") else OK


async def seen_before(line: Dialogue, request: bytes, times: int) -> None:
    for _ in range(times):
        line.client_sends(request)
        await line.tool_sees(at_tool(request))
        line.tool_sends(answer_to(request))
        await line.client_gets(answer_to(request))


@TIMES_BEFORE
@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("method", REPEATED)
async def test_r21_t30_what_may_be_repeated_is_repeated_once(
    talk: Talk, method: bytes, reset: bool, times: int
) -> None:
    request = asking(method)
    line = await talk()
    await seen_before(line, request, times)
    line.client_sends(request)
    await line.tool_sees(at_tool(request))
    end(line, reset)
    await line.tool_accepts()
    await line.tool_sees(at_tool(request))
    end(line, reset)
    if method == b"HEAD":
        assert (await line.client.read_head()).startswith(b"HTTP/1.1 502 ")
    else:
        await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 2


def end(line: Dialogue, reset: bool) -> None:
    if reset:
        line.tool.reset()
    else:
        line.tool.close()


@TIMES_BEFORE
@pytest.mark.parametrize(
    ("method", "body"),
    [
        *((method, b"0123456789") for method in (*REPEATED, *ONCE)),
        *((method, b"") for method in ONCE),
        *((method, None) for method in ONCE),
    ],
)
async def test_r21_t30_what_may_not_be_repeated_goes_out_once(
    talk: Talk, method: bytes, body: bytes | None, times: int
) -> None:
    request = asking(method, body)
    line = await talk()
    await seen_before(line, request, times)
    line.client_sends(request)
    await line.tool_sees(at_tool(request))
    line.tool.close()
    if method == b"HEAD":
        assert (await line.client.read_head()).startswith(b"HTTP/1.1 502 ")
    else:
        await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 1


async def goes_out_once(line: Dialogue, request: bytes, times: int) -> None:
    """The tool closes a connection that was kept: the client is told, and the request is not sent again."""
    await seen_before(line, request, times)
    line.client_sends(request)
    await line.tool_sees(at_tool(request))
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 1


@TIMES_BEFORE
@pytest.mark.parametrize("field", [b"X-HTTP-Method-Override: POST", b"x_http_method: PATCH", b"X-Method-Override: PUT"])
async def test_r21_t30_a_get_that_means_another_method_goes_out_once(talk: Talk, field: bytes, times: int) -> None:
    request = asking(b"GET", None, field)
    await goes_out_once(await talk(), request, times)


@TIMES_BEFORE
async def test_r21_t30_chunks_go_out_once(talk: Talk, times: int) -> None:
    chunked = message(b"PUT /x HTTP/1.1", b"Host: <proxy>", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n")
    await goes_out_once(await talk(), chunked, times)


@TIMES_BEFORE
@pytest.mark.parametrize("method", [b"PUT", b"POST", b"DELETE"])
async def test_r21_t30_half_a_body_goes_out_once(talk: Talk, method: bytes, times: int) -> None:
    """What comes behind it is the rest of that body, and no request."""
    request = asking(method, b"0123456789")
    line = await talk()
    await seen_before(line, request, times)
    line.client_sends(request[:-5])
    await line.tool_sees(at_tool(request)[:-5])
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    line.client_sends(b"56789" + get(b"/next"))
    await line.client_is_closed()
    assert len(line.upstream.connections) == 1


@TIMES_BEFORE
async def test_r21_a_head_whose_body_has_not_come_is_not_repeated(talk: Talk, times: int) -> None:
    request = asking(b"PUT", b"0123456789")
    line = await talk()
    await seen_before(line, request, times)
    line.client_sends(request[:-10])
    await line.tool_sees(at_tool(request)[:-10])
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 1


@TIMES_BEFORE
@pytest.mark.parametrize("begun", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"])
async def test_r21_t30_nothing_is_repeated_behind_a_byte_of_an_answer(talk: Talk, begun: bytes, times: int) -> None:
    line = await talk()
    await seen_before(line, get(b"/x"), times)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(begun)
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    assert len(line.upstream.connections) == 1


@TIMES_BEFORE
async def test_r21_t30_nothing_is_repeated_behind_an_interim_answer(talk: Talk, times: int) -> None:
    line = await talk()
    await seen_before(line, get(b"/x"), times)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(message(b"HTTP/1.1 102 Processing"))
    await line.client_gets(message(b"HTTP/1.1 102 Processing"))
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 1


@TIMES_BEFORE
async def test_r21_t10_an_answer_that_ends_early_does_not_look_complete(talk: Talk, times: int) -> None:
    line = await talk()
    await seen_before(line, get(b"/x"), times)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(OK[:-1])
    await line.client_gets(OK[:-1])
    line.tool.close()
    assert await line.client_is_reset() == b""


@TIMES_BEFORE
async def test_r21_a_kept_connection_that_ended_before_is_not_taken(talk: Talk, times: int) -> None:
    """A POST may go out over another one then, since it never went out before."""
    post = asking(b"POST", b"ok")
    line = await talk()
    await seen_before(line, post, times)
    line.tool.close()
    await line.tool.wait_lost()
    await asyncio.sleep(0)
    line.client_sends(post)
    await line.tool_accepts()
    await line.tool_sees(at_tool(post))
    line.tool_sends(OK)
    await line.client_gets(OK)


@TIMES_BEFORE
async def test_r21_two_known_requests_at_once_take_two_connections(talk: Talk, times: int) -> None:
    line = await talk()
    await seen_before(line, get(b"/x"), times)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    first = line.tool
    await line.new_client()
    line.client_sends(get(b"/x"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    first.send(OK)
    assert await line.others[0].read_exactly(len(OK)) == OK


async def test_r21_known_requests_of_two_clients_do_not_meet(talk: Talk) -> None:
    """Two clients, one block, answers in the other order: each gets its own."""
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/1"))
    await line.tool_sees(seen(b"/1"))
    first = line.tool
    await line.new_client()
    line.client_sends(get(b"/2"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/2"))
    one, two = OK.replace(b"ok", b"11"), OK.replace(b"ok", b"22")
    line.tool_sends(two)
    first.send(one)
    await line.client_gets(two)
    assert await line.others[0].read_exactly(len(one)) == one
