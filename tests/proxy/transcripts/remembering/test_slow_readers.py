"""Nothing of one tenant's bytes reaches another one, however slowly that reads (invariant 22)."""

from __future__ import annotations

import asyncio

import pytest

from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import connector
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.bodies import (
    LARGE,
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
from tests.proxy.transcripts.remembering.requests import named


@Paths
@pytest.mark.parametrize("framing", ["length", "chunks", "close"])
async def test_r22_t13_nothing_of_another_tenants_answers_reaches_a_slow_reader(
    speak: Talk, path: str, framing: str
) -> None:
    """A takes nothing of its large answer while B gets 300 small ones; then A reads on, a little at a time."""
    line = await speak(path)
    tool = connector("tool", line.upstream.address)
    line.proxy.swap(tool, connector("other", line.upstream.address))
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    sent, received = framed(framing, body)
    for_a, reader = await asked(line), line.client
    reader.pause_reading()
    for_a.send(sent)
    if framing == "close":
        for_a.close()
    await small_answers(line, 300)
    reading = asyncio.ensure_future(reader.read_exactly(len(received), SECONDS))
    while not reading.done():
        reader.resume_reading()
        await turns(3)
        reader.pause_reading()
        await small_answers(line, 2)
    same(reading.result(), received)
    reader.resume_reading()


def framed(framing: str, body: bytes) -> tuple[bytes, bytes]:
    """The answer as the tool sends it, and as the client gets it."""
    if framing == "length":
        return head(len(body)) + body, head(len(body)) + body
    if framing == "chunks":
        pieces = (body[start : start + 48_000] for start in range(0, len(body), 48_000))
        coded = b"".join(b"%X\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
        whole = message(OK_LINE, b"Transfer-Encoding: chunked") + coded
        return whole, whole
    return message(OK_LINE) + body, message(OK_LINE, b"Connection: close") + body


async def small_answers(line: Dialogue, count: int) -> None:
    """A second tenant asks its Connector over connections of its own."""
    first = not line.others
    if first:
        await line.new_client()
    answer = head(1024) + content(b"b", 1024)
    for number in range(count):
        line.client_sends(message(b"GET /b HTTP/1.1", b"Host: " + named(b"other")))
        if first and not number:
            await line.tool_accepts()
        await line.tool_sees(seen(b"/b"))
        line.tool_sends(answer)
        await line.client_gets(answer)


@Paths
async def test_r22_t13_nothing_of_another_tenants_upload_reaches_a_slow_tool(speak: Talk, path: str) -> None:
    """A's tool takes nothing of A's upload while B uploads 100 times."""
    line = await speak(path)
    line.proxy.swap(connector("tool", line.upstream.address), connector("other", line.upstream.address))
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    length = b"Content-Length: %d" % len(body)
    line.client_sends(message(b"PUT /a HTTP/1.1", b"Host: <proxy>", length))
    await line.tool_sees(message(b"PUT /a HTTP/1.1", b"Host: <tool>", length))
    of_a, sender = line.tool, line.client
    of_a.pause_reading()
    sender.send(body)
    await line.new_client()
    for number in range(100):
        put = (b"PUT /b HTTP/1.1", b"Content-Length: 1024")
        line.client_sends(message(put[0], b"Host: " + named(b"other"), put[1], body=content(b"b", 1024)))
        if not number:
            await line.tool_accepts()
        await line.tool_sees(message(put[0], b"Host: <tool>", put[1], body=content(b"b", 1024)))
        line.tool_sends(OK)
        await line.client_gets(OK)
    of_a.resume_reading()
    same(await of_a.read_exactly(len(body), SECONDS), body)
    of_a.send(OK)
    assert await sender.read_exactly(len(OK)) == OK
