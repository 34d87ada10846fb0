"""Large bodies that end otherwise than they should: at once, and never as if complete (invariant 24)."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.bodies import (
    LARGE,
    MIB,
    MIDDLE,
    PROMPTLY,
    SECONDS,
    Paths,
    asked,
    content,
    head,
    same,
    turns,
)
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.scene import until


@Paths
async def test_r24_t13_a_client_that_leaves_within_a_body_leaves_nothing_to_the_next_one(
    speak: Talk, path: str
) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    for _ in range(3):
        tool = await asked(line)
        # More than is sent: what the kernel and a client's TLS hold can be as much as LARGE, and the body must not end.
        tool.send(head(2 * LARGE) + content(b"a", LARGE))
        await line.client.read_exactly(MIB, SECONDS)
        line.client.pause_reading()
        await turns(20)
        line.client.reset()
        await tool.wait_closed()
        await line.client.wait_lost()
        await line.new_client()
        tool = await asked(line)
        tool.send(head(MIDDLE) + content(b"b", MIDDLE))
        got = await line.client.read_exactly(len(head(MIDDLE)) + MIDDLE, SECONDS)
        same(got, head(MIDDLE) + content(b"b", MIDDLE))
        for gone in line.others:
            await gone.read_to_eof()
    assert line.proxy.metric("connectors_proxy_upstream_connections", state="active") == 0


@Paths
@pytest.mark.parametrize("missing", [1, MIB])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_r24_t10_a_body_that_ends_early_is_cut_at_once(speak: Talk, path: str, missing: int, how: str) -> None:
    """What the client gets is a part of it, and a reset; with TLS, an end without its close."""
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", MIDDLE)
    tool = await asked(line)
    tool.send(head(MIDDLE) + body[:-missing])
    # A reset overtakes what is still on its way: not even all that the tool has sent must have come.
    await line.client.read_exactly(MIB, SECONDS)
    if how == "close":
        tool.close()
    else:
        tool.reset()
    began = time.monotonic()
    await line.client.wait_lost()
    assert time.monotonic() - began < PROMPTLY
    rest = await line.client.read_to_eof()
    same(rest, body[MIB - len(head(MIDDLE)) : -missing][: len(rest)])
    if path != "TLS listener":
        assert line.client.was_reset
    await until(lambda: "reason=" in line.proxy.log.getvalue().splitlines()[-1])
    assert 'reason="upstream closed early"' in line.proxy.log.getvalue()


@Paths
async def test_r24_t15_a_client_that_sends_fin_within_a_body_is_gone(speak: Talk, path: str) -> None:
    """Its reading end stands, and still the body is not moved on: neither end waits for the other."""
    line = await speak(path)
    await known(line, get(), seen())
    tool = await asked(line)
    tool.send(head(LARGE) + content(b"a", MIDDLE))
    await line.client.read_exactly(MIB, SECONDS)
    began = time.monotonic()
    if path == "TLS listener":
        line.client.close()
    else:
        line.client.half_close()
    await tool.wait_closed()
    await line.client.wait_lost()
    assert time.monotonic() - began < PROMPTLY
    await line.client.read_to_eof()
    await line.new_client()
    await asked(line)
    line.tool_sends(OK)
    await line.client_gets(OK)


@Paths
async def test_r24_an_upload_that_is_refused_within_its_body(speak: Talk, path: str) -> None:
    """The client reads why, though it goes on to send; and what it sends reaches no other request."""
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    length = b"Content-Length: %d" % len(body)
    for _ in range(2):
        line.client_sends(message(b"PUT /a HTTP/1.1", b"Host: <proxy>", length) + body[:MIDDLE])
        if line.tool.is_closed:
            await line.tool_accepts()
        await line.tool_sees(message(b"PUT /a HTTP/1.1", b"Host: <tool>", length))
        same(await line.tool.read_exactly(MIB, SECONDS), body[:MIB])
        line.tool_sends(message(b"HTTP/1.1 413 Too Large", b"Content-Length: 3", body=b"big"))
        await line.client_gets(
            message(b"HTTP/1.1 413 Too Large", b"Content-Length: 3", b"Connection: close", body=b"big")
        )
        line.client.send(body[MIDDLE : 2 * MIDDLE])
        await line.client.wait_closed(SECONDS)
        assert line.client.unread == b""
        await line.tool.wait_closed()
        rest = await line.tool.read_to_eof()
        same(rest, body[MIB:][: len(rest)])
        await line.new_client()
    line.client_sends(get())
    await line.tool_accepts()
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)


@Paths
async def test_r24_t10_an_upload_that_its_client_breaks_off_does_not_look_complete(speak: Talk, path: str) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", MIDDLE)
    length = b"Content-Length: %d" % len(body)
    line.client_sends(message(b"PUT /a HTTP/1.1", b"Host: <proxy>", length) + body[:MIB])
    await line.tool_sees(message(b"PUT /a HTTP/1.1", b"Host: <tool>", length))
    same(await line.tool.read_exactly(MIB, SECONDS), body[:MIB])
    line.client.close()
    await line.tool.wait_closed()
    assert line.tool.unread == b""
    await line.new_client()
    await asked(line)
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize("who", ["tool", "client"])
async def test_r24_a_body_that_does_not_move_is_cut_in_time(speak: Talk, who: str) -> None:
    """The tool sends nothing more, or the client takes nothing more."""
    line = await speak(settings=ProxySettings(timeouts=Timeouts(idle=0.3)))
    await known(line, get(), seen())
    tool = await asked(line)
    if who == "client":
        line.client.pause_reading()
    tool.send(head(2 * LARGE) + content(b"a", MIDDLE if who == "tool" else LARGE))
    await tool.wait_closed(SECONDS)
    line.client.resume_reading()
    await line.client.wait_lost()
    await line.client.read_to_eof()
    assert " reason=timeout " in line.proxy.log.getvalue()


async def test_r24_a_body_that_moves_slowly_is_not_cut(speak: Talk) -> None:
    """It takes longer than the time between two bytes may be."""
    line = await speak(settings=ProxySettings(timeouts=Timeouts(idle=0.4)))
    await known(line, get(), seen())
    body = content(b"a", MIDDLE)
    tool = await asked(line)
    tool.send(head(MIDDLE))
    step = MIDDLE // 8
    for start in range(0, MIDDLE, step):
        tool.send(body[start : start + step])
        # The time that passes is what is tested here.
        await asyncio.sleep(0.08)
    same(await line.client.read_exactly(len(head(MIDDLE)) + MIDDLE, SECONDS), head(MIDDLE) + body)
    await known(line, get(), seen())


@Paths
async def test_r24_a_drain_waits_for_a_body(speak: Talk, path: str) -> None:
    line = await speak(path)
    await known(line, get(), seen())
    body = content(b"a", LARGE)
    tool = await asked(line)
    tool.send(head(LARGE) + body[:MIDDLE])
    same(await line.client.read_exactly(len(head(LARGE)) + MIB, SECONDS), (head(LARGE) + body[:MIB]))
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await turns(5)
    assert not draining.done()
    tool.send(body[MIDDLE:])
    same(await line.client.read_exactly(LARGE - MIB, SECONDS), body[MIB:])
    await line.client_is_closed()
    await draining
