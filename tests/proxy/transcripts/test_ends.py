"""Exchanges that end otherwise than planned: aborts, resets, broken framing, answers that come early."""

from __future__ import annotations

import pytest

from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import get, message, seen
from tests.peers.manifests import connector
from tests.peers.raw_stream import PeerTimeoutError
from tests.proxy.transcripts.conftest import Talk

CHUNKED = b"Transfer-Encoding: chunked"
POST = b"POST /in HTTP/1.1"
EARLY = message(b"HTTP/1.1 413 Content Too Large", b"Content-Length: 3", body=b"big")
EARLY_GOT = message(b"HTTP/1.1 413 Content Too Large", b"Content-Length: 3", b"Connection: close", body=b"big")


# -- an answer before the request's body has ended


async def test_early_answer_is_relayed_at_once_and_the_client_can_read_it(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 1000000", body=b"part"))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 1000000", body=b"part"))
    line.tool_sends(EARLY)
    await line.client_gets(EARLY_GOT)
    # What the client goes on to send is read and dropped, so that no reset can overtake the answer.
    await line.client.send_all(b"x" * 500_000)
    await line.client_is_closed()
    await line.tool.wait_closed()


# asyncio's own loop gives up a connection on a failed write, and what the tool had answered by then is lost unread.
@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_early_answer_of_a_tool_that_closes_survives_an_upload_in_full_swing(talk: Talk) -> None:
    line = await talk()
    for _ in range(30):
        line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 50000000"))
        line.client.send(b"x" * 5_000_000)
        tool = await line.tool_accepts()
        await tool.read_head()
        tool.pause_reading()
        tool.send(EARLY)
        tool.close()
        await line.client_gets(EARLY_GOT)
        await line.client_is_closed()
        await tool.wait_lost()
        await tool.read_to_eof()
        await line.new_client()


async def test_early_answer_may_stream_while_the_body_still_does(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 6", body=b"one"))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 6", body=b"one"))
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 6", body=b"ONE"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 6", b"Connection: close", body=b"ONE"))
    line.client_sends(b"two")
    await line.tool_sees(b"two")
    line.tool_sends(b"TWO")
    await line.client_gets(b"TWO")
    await line.client_is_closed()


# -- the client goes away


async def test_t15_client_abort_while_the_tool_thinks_closes_the_upstream(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client.reset()
    await line.tool.wait_closed()
    await line.new_client()
    await line.works()


async def test_t15_client_close_while_the_tool_thinks_closes_the_upstream(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client.close()
    await line.tool.wait_closed()


async def test_t15_client_abort_during_the_response_closes_the_upstream(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 100", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 100", body=b"some"))
    line.client.reset()
    await line.tool.wait_closed()


async def test_client_that_sends_nothing_more_is_reset_where_its_answer_would_look_complete(talk: Talk) -> None:
    """Its end is taken for its leaving. A body that ends with the connection must not end in order then."""
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"some"))
    line.client.half_close()
    await line.tool.wait_closed()
    await line.client.wait_lost()
    assert line.client.was_reset


async def test_t15_client_abort_during_the_request_body_closes_the_upstream(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 100", body=b"some"))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 100", body=b"some"))
    line.client.reset()
    await line.tool.wait_closed()


@pytest.mark.parametrize("end", ["reset", "close"])
async def test_t15_client_that_leaves_while_it_is_not_read_from_closes_the_upstream(talk: Talk, end: str) -> None:
    """More than 64 KiB behind the request: the proxy stops reading, and must learn of the end in another way."""
    # Looked for four times in the shortest of these times; none of them runs while the tool is waited for.
    line = await talk(settings=ProxySettings(timeouts=Timeouts(idle=0.4)))
    line.client_sends(get())
    await line.tool_sees(seen())
    line.client_sends(b"GET /" + b"x" * 80_000)
    getattr(line.client, end)()
    await line.tool.wait_closed()


async def test_t15_client_abort_during_the_dial_ends_it(talk: Talk) -> None:
    """The tool's port answers TCP and says nothing in TLS: the dial hangs there."""
    line = await talk()
    https = line.upstream.address.replace("http:", "https:")
    line.proxy.swap(connector("tool", https))
    line.client_sends(get())
    tool = await line.tool_accepts()
    await tool.read_exactly(5)
    line.client.reset()
    await tool.wait_closed()
    await tool.read_to_eof()
    assert line.proxy.metric("connectors_proxy_upstream_connections", state="active") == 0


# -- the tool goes away


@pytest.mark.parametrize(
    ("lines", "body"),
    [
        pytest.param((b"Content-Length: 100",), b"some", id="length"),
        pytest.param((CHUNKED,), b"4\r\nsome\r\n", id="chunked"),
        pytest.param((CHUNKED,), b"4\r\nsome\r\n0\r\n", id="before the last empty line"),
    ],
)
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_cut_response_never_looks_complete(talk: Talk, lines: tuple[bytes, ...], body: bytes, end: str) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    answer = message(b"HTTP/1.1 200 OK", *lines, body=body)
    line.tool_sends(answer)
    await line.client_gets(answer)
    getattr(line.tool, end)()
    assert await line.client_is_reset() == b""


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_close_delimited_response_that_is_reset_never_looks_complete(talk: Talk, version: bytes) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/" + version, b"Host: <proxy>"))
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"some"))
    line.tool.reset()
    assert await line.client_is_reset() == b""


async def test_a_decoded_response_that_is_cut_never_looks_complete(talk: Talk) -> None:
    """An HTTP/1.0 client knows the end of its body by nothing but the connection's."""
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>"))
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", CHUNKED, body=b"4\r\nsome\r\n"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"some"))
    line.tool.close()
    assert await line.client_is_reset() == b""


async def test_a_response_with_broken_chunks_is_cut(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    good = message(b"HTTP/1.1 200 OK", CHUNKED, body=b"4\r\nsome\r\n")
    line.tool_sends(good)
    await line.client_gets(good)
    line.tool_sends(b"zz\r\n")
    await line.client_is_reset()
    await line.tool.wait_closed()


async def test_tool_that_closes_while_the_client_uploads(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 100", body=b"some"))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 100", body=b"some"))
    line.tool.reset()
    head = await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert b"\r\nConnection: close\r\n" in head
    await line.client_is_closed()


# -- the client's own faults


async def test_t11_broken_chunks_of_the_client_are_refused_and_the_tool_is_left(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", CHUNKED, body=b"3\r\nabc\r\n"))
    await line.tool_sees(message(POST, b"Host: <tool>", CHUNKED, body=b"3\r\nabc\r\n"))
    line.client_sends(b"0x1\r\na\r\n0\r\n\r\n")
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    await line.tool.wait_closed()


async def test_t11_broken_chunks_behind_an_early_answer_put_no_refusal_into_its_body(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", CHUNKED, body=b"3\r\nabc\r\n"))
    await line.tool_sees(message(POST, b"Host: <tool>", CHUNKED, body=b"3\r\nabc\r\n"))
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 1000", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 1000", b"Connection: close", body=b"some"))
    line.client_sends(b"zz\r\n")
    assert await line.client_is_reset() == b""
    await line.tool.wait_closed()


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
        pytest.param(b"HTTP/2 200\r\n\r\n", id="HTTP/2"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare LF"),
        pytest.param(b"HTTP/1.1 20 OK\r\n\r\n", id="status of two digits"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"Content-Length: 1", b"Content-Length: 2"), id="two lengths"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"Content-Length: 1", CHUNKED), id="length and chunked"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"Content-Length: +1"), id="signed length"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: gzip"), id="an unknown coding"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"A: b", b" folded"), id="obs-fold"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"A : b"), id="space before the colon"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"A: b\0c"), id="NUL"),
        pytest.param(message(b"HTTP/1.1 200 OK", b"A: " + b"b" * 65536), id="too large a head"),
        pytest.param(message(b"HTTP/1.1 200 OK", *[b"A: b"] * 129), id="too many fields"),
        pytest.param(message(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket"), id="unasked 101"),
    ],
)
async def test_an_answer_that_is_not_http(talk: Talk, answer: bytes) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(answer)
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.tool.wait_closed()
    await line.works()


async def test_a_client_that_goes_away_within_a_head_leaves_nothing(talk: Talk) -> None:
    line = await talk()
    line.client_sends(b"GET / HT")
    line.client.close()
    await line.client.wait_lost()
    await line.new_client()
    await line.works()
    with pytest.raises(PeerTimeoutError):
        await line.upstream.accept(seconds=0)
