"""Large bodies arrive whole and in order, and what lies behind one is no part of it (invariant 23)."""

from __future__ import annotations

import pytest

from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.bodies import (
    LARGE,
    MIDDLE,
    OK_LINE,
    SECONDS,
    Paths,
    asked,
    content,
    head,
    same,
    turns,
)
from tests.proxy.transcripts.remembering.dialogues import known

EXTENSION = b";e=" + b"x" * 240
"""Of a chunk, which the client does not get."""
STOLEN = message(OK_LINE, b"Set-Cookie: stolen=1", b"Content-Length: 6", body=b"stolen")


@Paths
@pytest.mark.parametrize("size", [MIDDLE - 16, MIDDLE, LARGE])
async def test_r23_large_answers_arrive_whole_one_after_the_other(speak: Talk, path: str, size: int) -> None:
    """With small ones in between, over one connection on each side."""
    line = await speak(path)
    await known(line, get(), seen())
    for tag in (b"a", b"b"):
        tool = await asked(line)
        tool.send(head(size, b"Set-Cookie: k=%b" % tag) + content(tag, size))
        got = await line.client.read_exactly(len(head(size, b"Set-Cookie: k=x")) + size, SECONDS)
        same(got, head(size, b"Set-Cookie: k=%b" % tag) + content(tag, size))
        line.client.forget()
        await known(line, get(), seen())
    assert len(line.upstream.connections) == 1
    place = {"namespace": "default", "connector": "tool", "direction": "out"}
    assert line.proxy.metric("connectors_proxy_bytes_total", **place) == 2 * size + 3 * 4 * 2


@Paths
async def test_r23_chunks_whose_lines_are_long_arrive_whole(speak: Talk, path: str) -> None:
    """So long that many a read ends within one."""
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    pieces = [body[start : start + 1024] for start in range(0, LARGE, 1024)]
    coded, plain = (b"".join(b"400%b\r\n%b\r\n" % (more, piece) for piece in pieces) for more in (EXTENSION, b""))
    chunked = message(OK_LINE, b"Transfer-Encoding: chunked")
    tool = await asked(line)
    tool.send(chunked + coded + b"0\r\n\r\n")
    expected = chunked + plain + b"0\r\n\r\n"
    same(await line.client.read_exactly(len(expected), SECONDS), expected)
    await known(line, get(), seen())


@Paths
@pytest.mark.parametrize("first", [0, 1, 1000, 70_000])
async def test_r23_a_reader_that_begins_late_gets_everything_in_order(speak: Talk, path: str, first: int) -> None:
    """What was read ahead, and waits in memory, goes before what is moved behind it."""
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    tool = await asked(line)
    line.client.pause_reading()
    tool.send(head(len(body)) + body[:first])
    await turns(50)
    tool.send(body[first:MIDDLE])
    await turns(50)
    line.client.resume_reading()
    tool.send(body[MIDDLE:])
    same(await line.client.read_exactly(len(head(LARGE)) + LARGE, SECONDS), head(LARGE) + body)
    await known(line, get(), seen())


@Paths
@pytest.mark.parametrize("later", [False, True], ids=["in one segment", "behind it"])
async def test_r23_t11_what_lies_behind_a_body_is_never_the_clients(speak: Talk, path: str, later: bool) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", MIDDLE)
    tool = await asked(line)
    if later:
        tool.send(head(MIDDLE) + body)
        tool.send(STOLEN)
    else:
        tool.send(head(MIDDLE) + body + STOLEN)
    same(await line.client.read_exactly(len(head(MIDDLE)) + MIDDLE, SECONDS), head(MIDDLE) + body)
    await tool.wait_closed()
    line.client_sends(get(b"/next"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/next"))
    line.tool_sends(OK)
    await line.client_gets(OK)


@Paths
async def test_r23_interim_answer_and_body_in_one_segment(speak: Talk, path: str) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", MIDDLE)
    tool = await asked(line)
    early = message(b"HTTP/1.1 103 Early Hints", b"X-A: b")
    tool.send(early + head(MIDDLE) + body)
    got = await line.client.read_exactly(len(early + head(MIDDLE)) + MIDDLE, SECONDS)
    same(got, early + head(MIDDLE) + body)
    await known(line, get(), seen())


@Paths
async def test_r23_head_has_no_body_however_long_it_says_it_is(speak: Talk, path: str) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    heads = (get().replace(b"GET", b"HEAD", 1), seen().replace(b"GET", b"HEAD", 1))
    await known(line, *heads, head(LARGE), got=head(LARGE))
    for status in (b"204 No Content", b"304 Not Modified"):
        answer = message(b"HTTP/1.1 " + status, b"Content-Length: %d" % LARGE)
        await known(line, get(), seen(), answer, got=answer)
    await known(line, get(), seen())
    assert len(line.upstream.connections) == 1


@Paths
async def test_r23_a_request_behind_an_upload_is_no_part_of_it(speak: Talk, path: str) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    length = b"Content-Length: %d" % len(body)
    line.client_sends(message(b"PUT /a HTTP/1.1", b"Host: <proxy>", length, body=body) + get(b"/next"))
    await line.tool_sees(message(b"PUT /a HTTP/1.1", b"Host: <tool>", length))
    same(await line.tool.read_exactly(len(body), SECONDS), body)
    assert line.tool.unread == b""
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.tool_sees(seen(b"/next"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    assert len(line.upstream.connections) == 1
    place = {"namespace": "default", "connector": "tool", "direction": "in"}
    assert line.proxy.metric("connectors_proxy_bytes_total", **place) == LARGE
