"""1xx: continue, early hints, and the one upgrade that is tunnelled."""

from __future__ import annotations

import pytest

from proxy.settings import ClientAuth, ProxySettings
from tests.peers.dialogue import HOST, OK, Dialogue, get, message, seen
from tests.peers.manifests import connector
from tests.proxy.transcripts.conftest import Talk

POST = b"PUT /in HTTP/1.1"
EXPECT = b"Expect: 100-continue"
CONTINUE = message(b"HTTP/1.1 100 Continue")
ASK = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: abc", b"Sec-WebSocket-Version: 13")
ASKED = (b"Sec-WebSocket-Key: abc", b"Sec-WebSocket-Version: 13", b"Connection: Upgrade", b"Upgrade: websocket")
SWITCH = message(b"HTTP/1.1 101 Switching Protocols", b"Connection: upgrade", b"Upgrade: WebSocket", b"S: x")
SWITCHED = message(b"HTTP/1.1 101 Switching Protocols", b"S: x", b"Connection: Upgrade", b"Upgrade: websocket")


async def test_t18_continue_comes_from_the_tool_alone(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", EXPECT, b"Content-Length: 4"))
    await line.tool_sees(message(POST, b"Host: <tool>", EXPECT, b"Content-Length: 4"))
    assert line.client.received == b""
    line.tool_sends(CONTINUE)
    await line.client_gets(CONTINUE)
    line.client_sends(b"body")
    await line.tool_sees(b"body")
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.works()


async def test_t18_refused_caller_gets_the_refusal_and_no_continue(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(client_auth=ClientAuth.TOKEN))
    line.client_sends(message(POST, b"Host: <proxy>", EXPECT, b"Content-Length: 4"))
    await line.client_is_refused(b"401", b"Unauthenticated")
    await line.client_is_closed()
    assert not line.client.received.startswith(b"HTTP/1.1 100")
    assert line.upstream.connections == []


async def test_final_answer_in_place_of_continue(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", EXPECT, b"Content-Length: 4"))
    await line.tool_sees(message(POST, b"Host: <tool>", EXPECT, b"Content-Length: 4"))
    line.tool_sends(message(b"HTTP/1.1 417 Expectation Failed", b"Content-Length: 0"))
    await line.client_gets(message(b"HTTP/1.1 417 Expectation Failed", b"Content-Length: 0", b"Connection: close"))
    await line.client_is_closed()
    await line.tool.wait_closed()


async def test_early_hints_and_unknown_interim_responses_pass(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    hints = message(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload") + message(b"HTTP/1.1 199 Odd", b"A: b")
    line.tool_sends(hints)
    await line.client_gets(hints)
    line.tool_sends(CONTINUE + OK)
    await line.client_gets(CONTINUE + OK)
    await line.works()


async def test_tool_that_dies_behind_an_interim_response(talk: Talk) -> None:
    line = await talk()
    await line.works()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 103 Early Hints"))
    await line.client_gets(message(b"HTTP/1.1 103 Early Hints"))
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    assert len(line.upstream.connections) == 1


# -- WebSocket


async def upgraded(talk: Talk) -> Dialogue:
    line = await talk()
    line.client_sends(get(b"/ws", *ASK))
    await line.tool_sees(seen(b"/ws", *ASKED))
    line.tool_sends(SWITCH)
    await line.client_gets(SWITCHED)
    return line


async def test_websocket_is_tunnelled_both_ways(talk: Talk) -> None:
    line = await upgraded(talk)
    for size in (1, 70_000):
        frame = b"\x00\xff\r\n\r\n" * size
        line.client.send(frame)
        assert await line.tool.read_exactly(len(frame)) == frame
        line.tool.send(frame)
        assert await line.client.read_exactly(len(frame)) == frame
    line.tool.close()
    await line.client_is_closed()


async def test_client_that_leaves_a_tunnel_ends_it(talk: Talk) -> None:
    line = await upgraded(talk)
    line.client.close()
    await line.tool.wait_closed()


async def test_first_frame_of_the_tool_may_come_with_its_101(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get(b"/ws", *ASK))
    await line.tool_sees(seen(b"/ws", *ASKED))
    line.tool_sends(SWITCH + b"frame")
    await line.client_gets(SWITCHED + b"frame")


@pytest.mark.parametrize("size", [10, 65_536, 300_000])
async def test_t20_early_bytes_of_the_client_wait_for_the_101(talk: Talk, size: int) -> None:
    line = await talk()
    early = b"x" * size
    line.client_sends(get(b"/ws", *ASK) + early)
    await line.tool_sees(seen(b"/ws", *ASKED))
    assert line.tool.unread == b""
    line.tool_sends(SWITCH)
    await line.client_gets(SWITCHED)
    await line.tool_sees(early)
    line.client_sends(b"later")
    await line.tool_sees(b"later")


async def test_t20_no_tunnel_without_the_101(talk: Talk) -> None:
    """What the client meant for the tunnel is read as the next request, and refused."""
    line = await talk()
    line.client_sends(get(b"/ws", *ASK) + b"early\r\n\r\n")
    await line.tool_sees(seen(b"/ws", *ASKED))
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    assert b"early" not in line.tool.received


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param((), (), id="not asked at all"),
        pytest.param((b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AA"), (), id="h2c"),
        pytest.param((b"Upgrade: websocket, h2c", b"Connection: Upgrade"), (), id="one of several"),
        pytest.param((b"Upgrade: websocket", b"Upgrade: h2c", b"Connection: Upgrade"), (), id="two fields"),
        pytest.param((b"Upgrade: websocket",), (), id="not nominated"),
    ],
)
async def test_t20_no_other_upgrade_is_offered_and_an_unasked_101_is_refused(
    talk: Talk, fields: tuple[bytes, ...], expected: tuple[bytes, ...]
) -> None:
    line = await talk()
    line.client_sends(get(b"/", *fields))
    await line.tool_sees(seen(b"/", *expected))
    line.tool_sends(SWITCH)
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.tool.wait_closed()


async def test_t20_only_get_may_upgrade(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"POST /ws HTTP/1.1", b"Host: <proxy>", *ASK))
    await line.tool_sees(message(b"POST /ws HTTP/1.1", b"Host: <tool>", *ASK[2:]))
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket, h2c", b""])
async def test_t20_a_101_to_something_else_is_refused(talk: Talk, upgrade: bytes) -> None:
    line = await talk()
    line.client_sends(get(b"/ws", *ASK))
    await line.tool_sees(seen(b"/ws", *ASKED))
    line.tool_sends(message(b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: " + upgrade))
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.tool.wait_closed()


async def test_t20_a_refused_websocket_opens_no_tunnel(talk: Talk) -> None:
    line = await talk()
    line.proxy.swap(connector("other", line.upstream.address))
    line.client_sends(get(b"/ws", *ASK) + b"GET /smuggled HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n")
    await line.client_is_refused(b"404", b"ConnectorNotFound")
    await line.client_is_refused(b"404", b"ConnectorNotFound")
    assert line.upstream.connections == []
