"""Ten ways in which a prototype that remembered was broken; none of them may come back."""

from __future__ import annotations

import asyncio
import json

import pytest

from proxy.settings import AccessLogFormat, ClientAuth, Limits, ProxySettings
from tests.peers.answering_tool import turns
from tests.peers.dialogue import OK, Dialogue, get, message, seen
from tests.peers.manifests import Manifest, auth, bearer_token, caller_token, connector
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known

TOKEN = b"c4ller.t0ken.of.ci"
BEARER = b"Authorization: Bearer " + TOKEN
INJECTED = b"Authorization: Bearer injected"
CALLERS = ProxySettings(client_auth=ClientAuth.TOKEN)
SECRETS: tuple[Manifest, ...] = (bearer_token("s", "injected"), caller_token("ci", TOKEN.decode()))
LAST = message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok")
PUT = message(b"PUT /in HTTP/1.1", b"Host: <proxy>", b"Content-Length: 10", body=b"0123456789")
PUT_SEEN = PUT.replace(b"<proxy>", b"<tool>")


async def guarded(talk: Talk, settings: ProxySettings = CALLERS) -> Dialogue:
    """A Connector with a credential, for callers with a token."""
    return await talk(*SECRETS, settings=settings, auth=auth("bearerAuth", "s"))


@pytest.mark.parametrize("stolen", [b"GET /stolen HTTP/1.1\r\n\r\n", b"DELETE /stolen HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("empty", [b"\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same connection", "another connection"])
async def test_r01_p01_an_empty_block_is_no_known_block(
    talk: Talk, empty: bytes, stolen: bytes, elsewhere: bool
) -> None:
    line = await guarded(talk)
    await known(line, empty + get(b"/mine", BEARER), seen(b"/mine", INJECTED))
    if elsewhere:
        await line.new_client()
    line.client_sends(stolen)
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    assert line.tool.unread == b""
    assert len(line.upstream.connections) == 1
    assert "caller=- connector=- method=- path=- status=400" in line.proxy.log.getvalue()


@pytest.mark.parametrize("behind", [b"X: z\r\n\r\n", b"\r\n"])
async def test_r01_a_piece_of_a_head_is_no_head_whatever_it_looks_like(talk: Talk, behind: bytes) -> None:
    """What comes second is a whole request to the eye, without Host and token, and a field's value to llhttp."""
    line = await guarded(talk)
    piece = get(b"/mine", BEARER)[:-2] + b"X-Own: "
    for _ in range(4):
        line.client_sends(piece)
        await turns()
        line.client_sends(b"GET /mine HTTP/1.1\r\n" + behind)
        await line.tool_sees(seen(b"/mine", b"X-Own: GET /mine HTTP/1.1", *behind.split(b"\r\n")[:-2], INJECTED))
        line.tool_sends(OK)
        await line.client_gets(OK)
    await line.new_client()
    line.client_sends(b"GET /stolen HTTP/1.1\r\n" + behind)
    await line.client_is_refused(b"400", b"RequestMalformed")
    assert line.tool.unread == b""


@pytest.mark.parametrize("empty", [b"", b"\r\n"])
async def test_r01_p02_a_known_request_is_not_the_block_behind_another_request_line(talk: Talk, empty: bytes) -> None:
    line = await guarded(talk)
    await known(line, empty + get(b"/primed", BEARER), seen(b"/primed", INJECTED))
    line.client_sends(b"DELETE /other HTTP/1.1\r\n" + get(b"/primed", BEARER))
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()
    assert line.tool.unread == b""
    assert len(line.upstream.connections) == 1


@pytest.mark.parametrize("early", [False, True], ids=["next behind the close", "next before the close"])
async def test_r21_p03_t30_a_body_goes_out_once_and_the_next_request_is_no_part_of_it(talk: Talk, early: bool) -> None:
    line = await talk()
    await known(line, PUT, PUT_SEEN)
    line.client_sends(PUT)
    await line.tool_sees(PUT_SEEN)
    if early:
        line.client_sends(get(b"/next"))
    line.tool.close()
    await line.client_is_refused(b"502", b"UpstreamUnreachable")
    if not early:
        line.client_sends(get(b"/next"))
    await line.client_is_closed()
    await asyncio.sleep(0)
    assert len(line.upstream.connections) == 1, "neither the PUT again, nor what came behind a broken exchange"


async def test_r09_p04_t13_a_connection_of_the_old_secret_ends_with_the_request_that_runs(talk: Talk) -> None:
    """Another request is remembered in between, under the new Secret: that makes the old connection no current one."""
    line = await talk(bearer_token("s", "old"), auth=auth("bearerAuth", "s"))
    await known(line, get(b"/x"), seen(b"/x", b"Authorization: Bearer old"))
    line.client_sends(get(b"/runs"))
    await line.tool_sees(seen(b"/runs", b"Authorization: Bearer old"))
    first, running = line.tool, line.client
    tool = connector("tool", line.upstream.address, auth=auth("bearerAuth", "s"))
    line.proxy.swap(tool, bearer_token("s", "new"))
    await line.new_client()
    line.client_sends(get(b"/x"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/x", b"Authorization: Bearer new"))
    line.tool_sends(OK)
    await line.client_gets(OK)
    await known(line, get(b"/x"), seen(b"/x", b"Authorization: Bearer new"))
    first.send(OK)
    assert await running.read_exactly(len(OK)) == OK
    await first.wait_closed()
    metric = line.proxy.metric
    assert metric("connectors_proxy_upstream_connections", state="active") == 0
    assert metric("connectors_proxy_upstream_connections", state="idle") == 1
    assert metric("connectors_proxy_requests_in_flight") == 0


async def test_r12_p05_a_known_block_and_a_long_line_are_too_much_together(talk: Talk) -> None:
    line = await talk(settings=ProxySettings(limits=Limits(head_bytes=4096)))
    large = b"X-Large: " + b"x" * 3000
    await known(line, get(b"/", large), seen(b"/", large))
    line.client_sends(get(b"/" + b"y" * 2500, large))
    await line.client_is_refused(b"431", b"HeadTooLarge")
    await line.client_is_closed()
    assert line.tool.unread == b""


@pytest.mark.parametrize("spelling", [b"Content-Length:2", b"Content-Length:  2 ", b"Content-Length:\t2\t"])
async def test_r18_p06_a_length_is_written_one_way_each_time(talk: Talk, spelling: bytes) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"), message(b"HTTP/1.1 200 OK", spelling, body=b"ok"))


async def test_r15_p07_an_answer_during_the_drain_says_that_the_connection_ends(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.tool_sends(OK)
    await line.client_gets(LAST)
    await line.client_is_closed()
    await draining


@pytest.mark.parametrize("log_format", [AccessLogFormat.TEXT, AccessLogFormat.JSON])
async def test_r20_p08_t14_a_known_request_is_logged_as_any_other(talk: Talk, log_format: AccessLogFormat) -> None:
    """The path is cut, the format kept, and a ServiceAccount's name cannot write a line of its own."""
    line = await talk(settings=ProxySettings(client_auth=ClientAuth.TOKEN, access_log=log_format))
    owner = caller_token("ci", TOKEN.decode())
    owner["metadata"]["annotations"]["kubernetes.io/service-account.name"] = "ci\nforged access caller=root \x1b[2J"
    line.proxy.swap(connector("tool", line.upstream.address), owner)
    await known(line, get(b"/x", BEARER), seen(b"/x"))
    path = b"/" + b"y" * 2000
    await known(line, get(path, BEARER), seen(path))
    await asyncio.sleep(0)
    lines = line.proxy.log.getvalue().splitlines()
    assert len(lines) == 8
    assert not any("\x1b" in text for text in lines)
    for number, text in enumerate(lines):
        logged = path[:512].decode() if number >= 4 else "/x"
        if log_format is AccessLogFormat.JSON:
            record = json.loads(text)
            assert record["path"] == logged
            assert record["caller"].startswith("default/ci\nforged access caller=root ")
        else:
            assert ' caller="default/ci\\nforged access caller=root \\x1b[2J" ' in text
            assert f" path={logged} status=" in text
