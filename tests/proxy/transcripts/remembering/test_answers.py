"""Of an answer's line it is remembered what is done with it, and never what came of that (invariants 14, 16 to 18)."""

from __future__ import annotations

import asyncio

import pytest

from proxy.settings import Limits, ProxySettings
from tests.peers.answering_tool import AnsweringTool, Reply
from tests.peers.dialogue import get, message, seen
from tests.proxy.transcripts.conftest import Talk
from tests.proxy.transcripts.remembering.dialogues import known
from tests.proxy.transcripts.remembering.requests import CALLERS, NO_HOST, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import ONE_LOOP, Move, Same, Scene, Stage, prime

OK_LINE = b"HTTP/1.1 200 OK"
EMPTY = b"Content-Length: 0"
KNOWN = asking(b"/x", bearer())
PLAIN = message(OK_LINE, b"Server: tool", b"Content-Length: 2", body=b"ok")
ANSWERS = {
    "a length without white space": message(OK_LINE, b"Content-Length:2", body=b"ok"),
    "a length with more of it": message(OK_LINE, b"Content-Length:  2 ", body=b"ok"),
    "a length in lower case": message(OK_LINE, b"content-length: 2", body=b"ok"),
    "a length with a zero before it": message(OK_LINE, b"Content-Length: 02", body=b"ok"),
    "a length twice": message(OK_LINE, b"Content-Length: 2", b"Content-Length: 2", body=b"ok"),
    "two lengths": message(OK_LINE, b"Content-Length: 2", b"Content-Length: 3", body=b"ok"),
    "a list of lengths": message(OK_LINE, b"Content-Length: 2, 2", body=b"ok"),
    "a signed length": message(OK_LINE, b"Content-Length: +2", body=b"ok"),
    "no number for a length": message(OK_LINE, b"Content-Length: two", body=b"ok"),
    "a huge length": message(OK_LINE, b"Content-Length: 99999999999999999999"),
    "an empty length": message(OK_LINE, b"Content-Length:", body=b"ok"),
    "a look-alike of a length": message(OK_LINE, b"Content_Length: 9", b"Content-Length: 2", body=b"ok"),
    "only a look-alike": message(OK_LINE, b"Content_Length: 2", body=b"ok"),
    "chunks": message(OK_LINE, b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    "chunks in upper case": message(OK_LINE, b"TRANSFER-ENCODING: CHUNKED", body=b"2\r\nok\r\n0\r\n\r\n"),
    "chunks with an extension": message(OK_LINE, b"Transfer-Encoding: chunked", body=b"2;a=b\r\nok\r\n0\r\n\r\n"),
    "chunks with trailers": message(
        OK_LINE, b"Transfer-Encoding: chunked", b"Trailer: X-T", body=b"2\r\nok\r\n0\r\nX-T: v\r\nLocation: /x\r\n\r\n"
    ),
    "chunks and a length": message(OK_LINE, b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "chunks twice": message(OK_LINE, b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "another coding": message(OK_LINE, b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "a broken chunk": message(OK_LINE, b"Transfer-Encoding: chunked", body=b"zz\r\nok\r\n0\r\n\r\n"),
    "Connection: keep-alive": message(OK_LINE, b"Connection: keep-alive", b"Content-Length: 2", body=b"ok"),
    "Connection: Keep-Alive and its times": message(
        OK_LINE, b"Connection: Keep-Alive", b"Keep-Alive: timeout=5", b"Content-Length: 2", body=b"ok"
    ),
    "Keep-Alive of no time at all": message(OK_LINE, b"Keep-Alive: timeout=1", b"Content-Length: 2", body=b"ok"),
    "Connection: close": message(OK_LINE, b"Connection: close", b"Content-Length: 2", body=b"ok"),
    "Connection: CLOSE": message(OK_LINE, b"connection: CLOSE", b"Content-Length: 2", body=b"ok"),
    "Connection: close, X-A": message(OK_LINE, b"Connection: close, X-A", b"X-A: 1", b"Content-Length: 2", body=b"ok"),
    "a field nominated before it": message(OK_LINE, b"Connection: X-A", b"X-A: 1", b"Content-Length: 2", body=b"ok"),
    "a field nominated behind it": message(OK_LINE, b"X-A: 1", b"Connection: X-A", b"Content-Length: 2", body=b"ok"),
    "the same field, not nominated": message(OK_LINE, b"X-A: 1", b"Content-Length: 2", body=b"ok"),
    "the length nominated": message(OK_LINE, b"Connection: Content-Length", b"Content-Length: 2", body=b"ok"),
    "Set-Cookie nominated": message(
        OK_LINE, b"Set-Cookie: a=b", b"Connection: Set-Cookie", b"Content-Length: 2", body=b"ok"
    ),
    "two Connection lines": message(
        OK_LINE, b"Connection: keep-alive", b"Connection: X-A", b"X-A: 1", b"Content-Length: 2", body=b"ok"
    ),
    "an empty Connection": message(OK_LINE, b"Connection:", b"Content-Length: 2", body=b"ok"),
    "fields of one hop": message(
        OK_LINE, b"Upgrade: h2c", b"Proxy-Authenticate: Basic", b"TE: x", b"Content-Length: 2", body=b"ok"
    ),
    "the proxy's own field": message(OK_LINE, b"X-Connectors-Reason: Forbidden", b"Content-Length: 2", body=b"ok"),
    "a look-alike of it": message(OK_LINE, b"X_Connectors_Reason: Forbidden", b"Content-Length: 2", body=b"ok"),
    "Location": message(b"HTTP/1.1 302 Found", b"Location: /y?a=b", EMPTY),
    "Location of the tool's": message(b"HTTP/1.1 302 Found", b"Location: http://<tool>/y", EMPTY),
    "Location elsewhere": message(b"HTTP/1.1 302 Found", b"Location: https://elsewhere.example/y", EMPTY),
    "Location without a host": message(b"HTTP/1.1 302 Found", b"location: ../y", EMPTY),
    "Content-Location and Link": message(
        OK_LINE, b"Content-Location: http://<tool>/y", b"Link: <http://<tool>/z>; rel=next", EMPTY
    ),
    "Refresh": message(OK_LINE, b"Refresh: 1; url=http://<tool>/y?API_KEY=injected-key", EMPTY),
    "a Location that repeats the credential": message(
        b"HTTP/1.1 301 Moved", b"Location: http://<tool>/x/?a=b&API_KEY=injected-key", EMPTY
    ),
    "Set-Cookie": message(OK_LINE, b"Set-Cookie: a=b; Path=/; Domain=x; Secure", EMPTY),
    "Set-Cookie twice": message(OK_LINE, b"Set-Cookie: a=b; Path=/pre", b"Set-Cookie: c=d; path=/root/x", EMPTY),
    "WWW-Authenticate": message(
        b"HTTP/1.1 401 No", b'WWW-Authenticate: Bearer realm="https://x", Basic realm="y"', EMPTY
    ),
    "only a Bearer challenge": message(b"HTTP/1.1 401 No", b'WWW-Authenticate: Bearer realm="https://x"', EMPTY),
    "a field without a value": message(OK_LINE, b"X-A:", EMPTY),
    "a field without white space": message(OK_LINE, b"X-A:1", EMPTY),
    "a field with more of it": message(OK_LINE, b"X-A: \t 1 \t", EMPTY),
    "a folded line": message(OK_LINE, b"X-A: 1", b" 2", EMPTY),
    "white space before the colon": message(OK_LINE, b"X-A : 1", EMPTY),
    "a line without a colon": message(OK_LINE, b"X-A", EMPTY),
    "an empty name": message(OK_LINE, b": 1", EMPTY),
    "a control character": message(OK_LINE, b"X-A: \x01", EMPTY),
    "a NUL": message(OK_LINE, b"X-A: \0", EMPTY),
    "bytes above ASCII": message(OK_LINE, b"X-A: caf\xe9", EMPTY),
    "bare LF": message(OK_LINE, b"X-A: 1", EMPTY).replace(b"\r\n", b"\n"),
    "one bare LF": message(OK_LINE, b"X-A: 1\nX-B: 2", EMPTY),
    "a bare CR": message(OK_LINE, b"X-A: 1\rX-B: 2", EMPTY),
    "HTTP/1.0": message(b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"ok"),
    "HTTP/1.0 that is kept": message(
        b"HTTP/1.0 200 OK", b"Connection: keep-alive", b"Content-Length: 2", body=b"ok"
    ),
    "HTTP/1.0 with chunks": message(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "HTTP/2": message(b"HTTP/2 200 OK", EMPTY),
    "HTTP/1.2": message(b"HTTP/1.2 200 OK", EMPTY),
    "no HTTP": b"NOT HTTP\r\n\r\n",
    "lower case": message(b"http/1.1 200 OK", EMPTY),
    "no reason": message(b"HTTP/1.1 200 ", EMPTY),
    "no space behind the status": message(b"HTTP/1.1 200", EMPTY),
    "two spaces": message(b"HTTP/1.1  200 OK", EMPTY),
    "a long reason": message(b"HTTP/1.1 200 " + b"x" * 700, EMPTY),
    "a reason above ASCII": message(b"HTTP/1.1 500 caf\xe9", EMPTY),
    "a status of four digits": message(b"HTTP/1.1 2000 OK", EMPTY),
    "a status of two digits": message(b"HTTP/1.1 20 OK", EMPTY),
    "599": message(b"HTTP/1.1 599 X", EMPTY),
    "999": message(b"HTTP/1.1 999 X", EMPTY),
    "204": message(b"HTTP/1.1 204 No Content"),
    "204 with a length": message(b"HTTP/1.1 204 No Content", b"Content-Length: 5"),
    "304 with a length": message(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5", b"ETag: x"),
    "205 with nothing": message(b"HTTP/1.1 205 Reset", EMPTY),
    "100 before it": message(b"HTTP/1.1 100 Continue") + PLAIN,
    "103 before it": message(b"HTTP/1.1 103 Early Hints", b"Link: <http://<tool>/s.css>; rel=preload") + PLAIN,
    "three interim answers": message(b"HTTP/1.1 102 Processing") * 3 + PLAIN,
    "interim answers without end": message(b"HTTP/1.1 102 Processing") * 101 + PLAIN,
    "101 unasked": message(b"HTTP/1.1 101 Switching", b"Upgrade: websocket", b"Connection: upgrade"),
    "a byte too many": PLAIN + b"x",
    "two answers at once": PLAIN + PLAIN,
    "an empty line before it": b"\r\n" + PLAIN,
    "a thousand lines": message(OK_LINE, *[b"X-%d: y" % number for number in range(1000)], EMPTY),
    "128 lines": message(OK_LINE, *[b"X-%d: y" % number for number in range(127)], EMPTY),
    "128 lines and a dropped one": message(
        OK_LINE, *[b"X-%d: y" % number for number in range(127)], b"Connection: keep-alive", EMPTY
    ),
    "129 lines, of which ten are dropped": message(
        OK_LINE, *[b"X-%d: y" % number for number in range(118)], *[b"Proxy-Connection: x"] * 10, EMPTY
    ),
    "128 lines, of which ten are dropped": message(
        OK_LINE, *[b"X-%d: y" % number for number in range(117)], *[b"Proxy-Connection: x"] * 10, EMPTY
    ),
    "a head too long": message(OK_LINE, b"X-A: " + b"x" * 70_000, EMPTY),
    "nothing": b"",
    "a part of a head": b"HTTP/1.1 200 OK\r\nX-A",
}  # fmt: skip
"""What a tool may answer. The connection ends behind those that would keep the proxy waiting."""
ENDS_BEHIND = {"a huge length", "nothing", "a part of a head", "only a look-alike", "bare LF", "101 unasked"}


def answering(tool: AnsweringTool, name: str) -> None:
    """From now on the tool answers so."""
    answer = ANSWERS[name].replace(b"<tool>", tool.authority)
    tool.answer = lambda _: Reply((answer,), close=name in ENDS_BEHIND)


def answered(request: bytes, name: str) -> Move:
    """The request, which the tool answers so."""

    async def move(scene: Scene) -> None:
        answering(scene.tool, name)
        await scene.asks(request)

    return move


FORMS = {
    "host form": KNOWN,
    "HEAD": KNOWN.replace(b"GET", b"HEAD", 1),
    "POST": asking(b"/x", bearer(), method=b"POST", body=b"body"),
    "another Connector": asking(b"/x", bearer(), host=named(b"other")),
    "query credential": asking(b"/x?a=b", bearer(), host=named(b"keyed")),
    "path form": asking(b"/namespaces/default/connectors/other/x", bearer(), host=NO_HOST),
    "registry form": asking(b"/v2/namespaces/default/connectors/tool/x", bearer(), host=NO_HOST),
    "another spelling of Host": asking(b"/x", bearer(), host=named(b"tool").upper() + b":80"),
    "HTTP/1.0": KNOWN.replace(b"HTTP/1.1", b"HTTP/1.0", 1),
}


@ONE_LOOP
@pytest.mark.parametrize("name", ANSWERS)
async def test_r16_r17_r18_an_answer_that_was_seen_before_is_passed_on_as_at_first(stage: Stage, name: str) -> None:
    """It was seen by clients of another form, who get it otherwise."""
    probes = [answered(request, name) for request in FORMS.values()]
    await Same(probes, probes).check(stage, objects, CALLERS)


@ONE_LOOP
@pytest.mark.parametrize("form", ["host form", "HEAD", "query credential", "registry form"])
async def test_r17_r18_any_answer_behind_any_other(stage: Stage, form: str) -> None:
    """Lines that were seen in one answer mean what they mean in the next one."""
    request = FORMS[form]
    probes = [answered(request, name) for name in ANSWERS]
    await Same(probes, probes, times=1).check(stage, objects, CALLERS)


@ONE_LOOP
async def test_r14_a_relative_location_is_read_from_the_path_of_each_request(stage: Stage) -> None:
    paths = [b"/namespaces/default/connectors/other" + path for path in (b"/x", b"/a/b/x", b"/")]
    probes = [answered(asking(path, bearer(), host=NO_HOST), "Location without a host") for path in paths]
    expected = await Same(probes[:1], probes).check(stage, objects, CALLERS)
    assert b"/other/a/y" in expected[1].client[0]


CUT = ["chunks with trailers", "a field nominated behind it", "Set-Cookie", "100 before it", "a byte too many"]


@pytest.mark.parametrize("name", ["a length with more of it", "204 with a length", *CUT])
async def test_r17_r18_an_answer_that_comes_in_two_pieces(stage: Stage, tool: AnsweringTool, name: str) -> None:
    scene = await stage(objects, CALLERS)
    answering(tool, name)
    await prime(scene, KNOWN)
    answer = ANSWERS[name]
    await scene.mark()
    for place in range(1, len(answer)):
        tool.answer = lambda _, place=place: Reply((answer[:place], answer[place:]))  # type: ignore[misc]
        await scene.asks(KNOWN)
    if name == "a byte too many":
        whole = scene.answers
        assert all(got.startswith(b"HTTP/1.1 200 OK\r\n") and got.endswith(b"\r\n\r\nok") for got in whole)
    assert len(set(scene.answers)) == 1
    assert len(set(scene.tool.requests[1:])) == 1


async def test_r17_r18_an_answer_that_comes_byte_by_byte(stage: Stage, tool: AnsweringTool) -> None:
    scene = await stage(objects, CALLERS)
    for name in ("Set-Cookie", "chunks with trailers", "Location of the tool's"):
        answering(tool, name)
        await prime(scene, KNOWN)
        answer = ANSWERS[name].replace(b"<tool>", tool.authority)
        pieces = tuple(answer[place : place + 1] for place in range(len(answer)))
        tool.answer = lambda _, pieces=pieces: Reply(pieces)  # type: ignore[misc]
        before = scene.answers[-1]
        await prime(scene, KNOWN, times=2)
        assert scene.answers[-1] == before


ENDING = {
    "nothing": (OK_LINE, 1),
    "its version": (b"HTTP/1.0 200 OK", 4),
    "Connection: close": (OK_LINE + b"\r\nConnection: close", 4),
    "connection: Close": (OK_LINE + b"\r\nconnection: Close", 4),
    "Connection: close, X": (OK_LINE + b"\r\nConnection: X, close", 4),
    "Connection: keep-alive": (OK_LINE + b"\r\nConnection: keep-alive", 1),
    "Keep-Alive of a second": (OK_LINE + b"\r\nKeep-Alive: timeout=1", 4),
    "Keep-Alive of a minute": (OK_LINE + b"\r\nKeep-Alive: timeout=60", 1),
}
"""What an answer says of its connection: its first lines, and how many connections four requests take then."""


@pytest.mark.parametrize("says", ENDING)
async def test_r17_each_answer_decides_whether_the_tools_connection_stays(
    stage: Stage, tool: AnsweringTool, says: str
) -> None:
    """Its other lines are those of answers behind which it stays."""
    first, connections = ENDING[says]
    scene = await stage(objects, CALLERS)
    tool.answer = lambda _: PLAIN
    await prime(scene, KNOWN)
    tool.answer = lambda _: PLAIN.replace(OK_LINE, first, 1)
    await prime(scene, KNOWN)
    assert len(tool.connections) == connections


async def test_r17_t11_an_answer_nobody_asked_for_is_no_answer_to_the_next_request(talk: Talk) -> None:
    """It comes in the segment of a known one, or while the connection idles."""
    line = await talk()
    answer = message(OK_LINE, b"Content-Length: 2", body=b"ok")
    await known(line, get(b"/x"), seen(b"/x"), answer)
    line.client_sends(get(b"/x"))
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(answer + answer.replace(b"ok", b"no"))
    await line.client_gets(answer)
    await line.tool.wait_closed()
    line.client_sends(get(b"/x"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(answer)
    await line.client_gets(answer)
    line.tool_sends(answer.replace(b"ok", b"no"))
    await line.tool.wait_closed()
    line.client_sends(get(b"/x"))
    await line.tool_accepts()
    await line.tool_sees(seen(b"/x"))
    line.tool_sends(answer)
    await line.client_gets(answer)


@ONE_LOOP
async def test_r17_limits_count_lines_that_are_dropped(stage: Stage) -> None:
    settings = ProxySettings(limits=Limits(header_count=8, head_bytes=600))
    request = asking(b"/x")

    def sized(count: int, fill: int) -> Move:
        lines = [b"X-A: y"] * (count - 5) + [b"Proxy-Connection: x"] * 4
        answer = message(OK_LINE, *lines, b"X-Fill: " + b"x" * fill, EMPTY)

        async def move(scene: Scene) -> None:
            scene.tool.answer = lambda _: answer
            await scene.asks(request)

        return move

    few = [sized(count, 1) for count in (5, 6, 7, 8, 9, 12)]
    large = [sized(6, fill) for fill in range(420, 480, 3)]
    expected = await Same([request, sized(6, 1)], [*few, *large]).check(stage, objects, settings)
    statuses = {status for found in expected for status in found.statuses}
    assert statuses == {b"200", b"502"}


async def test_r16_cookies_and_addresses_are_made_for_each_request(talk: Talk) -> None:
    """One and the same line, to clients of three forms in turn."""
    line = await talk(prefix="/pre")
    answer = message(b"HTTP/1.1 302 Found", b"Location: /pre/y", b"Set-Cookie: a=b; Path=/pre/", EMPTY)
    path = b"/namespaces/default/connectors/tool"
    for _ in range(4):
        for host, prefix, tool in (
            (b"<proxy>", b"", b"/pre"),
            (b"any", path, b"/pre"),
            (b"any", b"/v2" + path, b"/pre/v2"),
        ):
            line.client_sends(message(b"GET " + prefix + b"/x HTTP/1.1", b"Host: " + host))
            await line.tool_sees(seen(tool + b"/x"))
            line.tool_sends(answer)
            mapped = prefix.removeprefix(b"/v2")
            location, cookie = b"Location: " + mapped + b"/y", b"Set-Cookie: a=b; Path=" + mapped + b"/"
            await line.client_gets(message(b"HTTP/1.1 302 Found", location, cookie, EMPTY))
    await asyncio.sleep(0)
