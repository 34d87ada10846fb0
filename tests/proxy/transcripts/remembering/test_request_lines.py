"""The request line is judged each time, whatever block stands behind it (invariants 12 to 15)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from proxy.settings import Limits, ProxySettings, Timeouts
from tests.peers.answering_tool import AnsweringTool, turns
from tests.peers.dialogue import OK, get, message, seen
from tests.peers.manifests import connector
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.requests import CALLERS, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, TIMES, Same, Scene, Stage, prime

KNOWN = asking(b"/x", bearer(), b"X-Own: y")
BLOCK = KNOWN.partition(b"\r\n")[2]
LINES = [
    b"HEAD /x HTTP/1.1",
    b"POST /x HTTP/1.1",
    b"PUT /x HTTP/1.1",
    b"PATCH /x HTTP/1.1",
    b"DELETE /x HTTP/1.1",
    b"OPTIONS /x HTTP/1.1",
    b"OPTIONS * HTTP/1.1",
    b"TRACE /x HTTP/1.1",
    b"CONNECT x:1 HTTP/1.1",
    b"CONNECT /x HTTP/1.1",
    b"PROPFIND /x HTTP/1.1",
    b"REPORT /x HTTP/1.1",
    b"FOO /x HTTP/1.1",
    b"get /x HTTP/1.1",
    b"Get /x HTTP/1.1",
    b"GETGET /x HTTP/1.1",
    b"PRI * HTTP/2.0",
    b"GET * HTTP/1.1",
    b"GET x HTTP/1.1",
    b"GET  /x HTTP/1.1",
    b"GET /x  HTTP/1.1",
    b"GET /x HTTP/1.1 ",
    b" GET /x HTTP/1.1",
    b"GET\t/x HTTP/1.1",
    b"GET /x\tHTTP/1.1",
    b"GET /x HTTP/1.0",
    b"GET /x HTTP/1.2",
    b"GET /x HTTP/2.0",
    b"GET /x HTTP/0.9",
    b"GET /x HTTP/1.10",
    b"GET /x HTTP/01.1",
    b"GET /x http/1.1",
    b"GET /x RTSP/1.0",
    b"GET /x",
    b"GET",
    b"GET ",
    b"/x HTTP/1.1",
    b"GET /x y HTTP/1.1",
    b"GET /x#y HTTP/1.1",
    b"GET /x?# HTTP/1.1",
    b"GET /x\0 HTTP/1.1",
    b"GET /x\x7f HTTP/1.1",
    b"GET /x\x01 HTTP/1.1",
    b"GET /\xff HTTP/1.1",
    b'GET /x" HTTP/1.1',
    b"GET /x<> HTTP/1.1",
    b"GET /x\\y HTTP/1.1",
    b"GET /x|{}^` HTTP/1.1",
    b"GET /[x] HTTP/1.1",
    b"GET /x\rGET /y HTTP/1.1",
    b"GET ? HTTP/1.1",
    b"GET /? HTTP/1.1",
    b"GET // HTTP/1.1",
    b"GET //other/x HTTP/1.1",
    b"GET /;x HTTP/1.1",
    b"GET http://c-tool.default.localhost HTTP/1.1",
    b"GET http://c-tool.default.localhost?x HTTP/1.1",
    b"GET HTTP://C-TOOL.default.localhost/x HTTP/1.1",
    b"GET http://other/x HTTP/1.1",
    b"GET http://c-other.default.localhost/x HTTP/1.1",
    b"GET https://c-tool.default.localhost/x HTTP/1.1",
    b"GET http://user@c-tool.default.localhost/x HTTP/1.1",
    b"GET ftp://c-tool.default.localhost/x HTTP/1.1",
]


@ONE_LOOP
@pytest.mark.parametrize("line", LINES, ids=repr)
async def test_r12_r13_any_line_before_a_known_block(stage: Stage, line: bytes) -> None:
    probe = line + b"\r\n" + BLOCK
    await Same([KNOWN], [probe, KNOWN, probe]).check(stage, objects, CALLERS)


LIMITED = ProxySettings(limits=Limits(head_bytes=1000, target_bytes=400, header_count=8))


def sized(block: bytes, total: int) -> bytes:
    """A request whose head has that many bytes, by its target."""
    request = b"GET / HTTP/1.1\r\n" + block
    return request.replace(b" / ", b" /" + b"y" * (total - len(request)) + b" ", 1)


@pytest.mark.parametrize("fill", [300, 600, 900])
async def test_r12_limits_of_line_and_head_are_those_of_an_unknown_block(stage: Stage, fill: int) -> None:
    block = b"Host: " + named(b"tool") + b"\r\nX-Fill: " + b"x" * fill + b"\r\n\r\n"
    by_target = [b"GET /" + b"y" * (size - 1) + b" HTTP/1.1\r\n" + block for size in (399, 400, 401, 432, 433)]
    by_head = [sized(block, size) for size in (995, 996, 997, 998, 999, 1000, 1001, 1002, 1003, 1004, 1005)]
    same = Same([b"GET / HTTP/1.1\r\n" + block], [*by_target, *by_head])
    expected = await same.check(stage, objects, LIMITED)
    statuses = {status for found in expected for status in found.statuses}
    assert statuses >= ({b"200", b"414"} if fill < 500 else {b"431"})


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"PUT"])
async def test_r13_t20_a_block_that_asks_for_a_websocket_does_so_for_get_alone(talk: Talk, method: bytes) -> None:
    upgrade = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Key: x")
    line = await talk()
    asked_tool = seen(b"/ws", b"Sec-WebSocket-Key: x", b"Connection: Upgrade", b"Upgrade: websocket")
    await known(line, get(b"/ws", *upgrade), asked_tool)
    line.client_sends(get(b"/ws", *upgrade).replace(b"GET", method, 1))
    if method == b"GET":
        await line.tool_sees(asked_tool)
        line.tool_sends(
            message(b"HTTP/1.1 101 Switching", b"Upgrade: websocket", b"Connection: upgrade") + b"from tool"
        )
        await line.client_gets(
            message(b"HTTP/1.1 101 Switching", b"Connection: Upgrade", b"Upgrade: websocket") + b"from tool"
        )
        line.client_sends(b"from client")
        await line.tool_sees(b"from client")
        line.tool.close()
        await line.client_is_closed()
    else:
        await line.tool_sees(seen(b"/ws", b"Sec-WebSocket-Key: x").replace(b"GET", method, 1))
        line.tool_sends(message(b"HTTP/1.1 101 Switching", b"Upgrade: websocket", b"Connection: upgrade"))
        if method == b"HEAD":
            await line.client.read_head()
        else:
            await line.client_is_refused(b"502", b"UpstreamProtocol")


async def test_r13_t20_a_known_block_gets_no_101_that_it_did_not_ask_for(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(message(b"HTTP/1.1 101 Switching", b"Upgrade: websocket", b"Connection: upgrade"))
    await line.client_is_refused(b"502", b"UpstreamProtocol")
    await line.tool.wait_closed()


async def test_r13_a_method_outside_of_the_standard_set_counts_as_other(stage: Stage) -> None:
    scene = await stage(objects, CALLERS)
    await prime(scene, KNOWN)
    await prime(scene, KNOWN.replace(b"GET", b"PROPFIND", 1))
    labels = {"namespace": "default", "connector": "tool", "connector_class": "generic", "code": "200"}
    metric = scene.proxy.metric
    assert metric("connectors_proxy_requests_total", method="GET", **labels) == TIMES
    assert metric("connectors_proxy_requests_total", method="other", **labels) == TIMES


async def test_r13_an_answer_to_head_has_no_body(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    head, of_head = get(b"/x").replace(b"GET", b"HEAD", 1), seen(b"/x").replace(b"GET", b"HEAD", 1)
    length = message(b"HTTP/1.1 200 OK", b"Content-Length: 2")
    await known(line, head, of_head, length, got=length)
    await known(line, get(b"/x"), seen(b"/x"))


@pytest.mark.parametrize("cut", [False, True], ids=["in one segment", "each by itself"])
async def test_r15_a_hundred_pipelined_requests_of_a_known_block(stage: Stage, cut: bool) -> None:
    batch = b"".join(asking(b"/%d" % number, bearer()) for number in range(100))
    length = len(asking(b"/0", bearer()))
    cuts: Sequence[int] = range(length, len(batch), length) if cut else ()

    async def sends_all(scene: Scene) -> None:
        await scene.asks(batch, answers=100, cuts=cuts)

    same = Same([asking(b"/x", bearer())], [sends_all])
    expected = await same.check(stage, objects, CALLERS)
    assert [request.split(b" ")[1] for request in expected[0].tool] == [b"/%d" % number for number in range(100)]


async def test_r15_pipelined_requests_of_two_known_blocks_and_a_body(stage: Stage) -> None:
    post = asking(b"/p", bearer(), method=b"POST", body=b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n")
    other = asking(b"/o", bearer(), host=named(b"other"))

    async def sends_all(scene: Scene) -> None:
        await scene.asks(KNOWN + post + other + b"\r\n" + KNOWN + other + post, answers=6)

    async def begins_with_a_body(scene: Scene) -> None:
        await scene.asks(post + KNOWN + b"\r\n" + post + other, answers=4)

    same = Same([KNOWN, post, other], [sends_all, begins_with_a_body])
    await same.check(stage, objects, CALLERS)


async def test_r15_one_request_at_a_time_whoever_pipelines(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/1") + get(b"/2"))
    await line.tool_sees(seen(b"/1"))
    await asyncio.sleep(0)
    assert line.tool.unread == b""
    assert len(line.upstream.connections) == 1
    for number in (b"1", b"2"):
        if number == b"2":
            await line.tool_sees(seen(b"/2"))
        line.tool_sends(OK)
        await line.client_gets(OK)


@pytest.mark.parametrize("times", [0, TIMES])
async def test_r15_t15_fin_behind_a_request_ends_it(stage: Stage, times: int) -> None:
    """Nothing that is cut short by it looks complete, and no connection to the tool is left in use."""
    scene = await stage(objects, CALLERS)
    await prime(scene, KNOWN, times=times)
    client = await scene.connected()
    client.forget()
    client.send(KNOWN)
    client.half_close()
    await client.wait_closed()
    assert client.received == b""
    await scene.settled()
    scene.leave()
    assert (await scene.asks(KNOWN)).startswith(b"HTTP/1.1 200 ")


async def test_r15_connection_close_of_a_known_block_ends_the_connection(talk: Talk) -> None:
    last = message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok")
    line = await talk()
    for _ in range(TIMES):
        line.client_sends(get(b"/x", b"Connection: close"))
        await line.tool_sees(seen(b"/x"))
        line.tool_sends(OK)
        await line.client_gets(last)
        await line.client_is_closed()
        await line.new_client()


async def test_r15_a_drain_refuses_what_begins_in_it(talk: Talk) -> None:
    """Known or not: a request that is read ahead while another one runs is not begun."""
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x") + get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await asyncio.sleep(0)
    line.tool_sends(OK)
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"))
    await line.client_is_closed()
    await draining
    assert line.tool.unread == b""


async def test_r15_a_drain_refuses_a_request_whose_head_ends_in_it(talk: Talk) -> None:
    line = await talk()
    await known(line, get(b"/x"), seen(b"/x"))
    line.client_sends(get(b"/x")[:-2])
    await turns()
    draining = asyncio.ensure_future(line.proxy.proxy.drain())
    await turns()
    line.client_sends(b"\r\n")
    await line.client_is_refused(b"503", b"ShuttingDown")
    await line.client_is_closed()
    await draining
    assert line.tool.unread == b""


async def test_r15_t32_a_client_that_never_reads_is_not_served_without_end(stage: Stage, tool: AnsweringTool) -> None:
    """Answers that the client does not take are few, however well its requests are known."""
    scene = await stage(lambda address: [connector("tool", address)], ProxySettings(timeouts=Timeouts(idle=60)))
    answer = message(b"HTTP/1.1 200 OK", b"Content-Length: 60000", body=b"x" * 60_000)
    tool.answer = lambda _: answer
    await prime(scene, asking(b"/x"))
    client = await scene.connected()
    client.pause_reading()
    before, served = len(tool.requests), -1
    client.send(asking(b"/x") * 1000)
    while served != len(tool.requests):
        served = len(tool.requests)
        for _ in range(200):
            await asyncio.sleep(0)
    assert 0 < served - before < 400, "24 MB: what socket buffers and the proxy's own may hold"
    client.resume_reading()
    scene.leave()
