"""Bodies of both directions: every framing, passed on as it came."""

from __future__ import annotations

import gzip

import pytest

from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk

CHUNKED = b"Transfer-Encoding: chunked"
POST = b"POST /in HTTP/1.1"


async def test_request_body_of_known_length(talk: Talk) -> None:
    line = await talk()
    body = bytes(range(256))
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 256", body=body))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 256", body=body))
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.works()


async def test_t10_request_body_streams_before_it_is_complete(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", b"Content-Length: 9", body=b"one"))
    await line.tool_sees(message(POST, b"Host: <tool>", b"Content-Length: 9", body=b"one"))
    line.client_sends(b"two")
    await line.tool_sees(b"two")
    line.client_sends(b"six")
    await line.tool_sees(b"six")
    line.tool_sends(OK)
    await line.client_gets(OK)


async def test_t10_response_body_streams_before_it_is_complete(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    for part in (message(b"HTTP/1.1 200 OK", b"Content-Length: 6"), b"one", b"two"):
        line.tool_sends(part)
        await line.client_gets(part)
    await line.works()


async def test_t10_chunks_pass_one_by_one_in_both_directions(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", CHUNKED))
    await line.tool_sees(message(POST, b"Host: <tool>", CHUNKED))
    for part in (b"3\r\none\r\n", b"00A\r\n0123456789\r\n", b"0\r\n\r\n"):
        line.client_sends(part)
        await line.tool_sees(part)
    line.tool_sends(message(b"HTTP/1.1 200 OK", CHUNKED))
    await line.client_gets(message(b"HTTP/1.1 200 OK", CHUNKED))
    for part in (b"5\r\nfirst\r\n", b"6\r\nsecond\r\n", b"0\r\n\r\n"):
        line.tool_sends(part)
        await line.client_gets(part)
    await line.works()


async def test_t10_a_long_body_arrives_whole_both_ways(talk: Talk) -> None:
    line = await talk()
    body = bytes(range(251)) * 20_000
    length = b"Content-Length: %d" % len(body)
    line.client_sends(message(POST, b"Host: <proxy>", length))
    line.client.send(body)
    await line.tool_sees(message(POST, b"Host: <tool>", length))
    assert await line.tool.read_exactly(len(body), 20) == body
    line.tool_sends(message(b"HTTP/1.1 200 OK", length))
    line.tool.send(body)
    await line.client_gets(message(b"HTTP/1.1 200 OK", length))
    assert await line.client.read_exactly(len(body), 20) == body
    await line.works()


async def test_chunk_extensions_are_dropped_in_both_directions(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(POST, b"Host: <proxy>", CHUNKED, body=b'3;a=b\r\nabc\r\n0;c="d"\r\n\r\n'))
    await line.tool_sees(message(POST, b"Host: <tool>", CHUNKED, body=b"3\r\nabc\r\n0\r\n\r\n"))
    line.tool_sends(message(b"HTTP/1.1 200 OK", CHUNKED, body=b"2 ; x\r\nhi\r\n0\r\n\r\n"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", CHUNKED, body=b"2\r\nhi\r\n0\r\n\r\n"))
    await line.works()


async def test_trailers_pass_in_both_directions(talk: Talk) -> None:
    line = await talk()
    body = b"2\r\nhi\r\n0\r\nX-Checksum: abc\r\nx-CHECKSUM: \xff\r\n\r\n"
    line.client_sends(message(POST, b"Host: <proxy>", b"TE: trailers", CHUNKED, b"Trailer: X-Checksum", body=body))
    expected = (b"Host: <tool>", CHUNKED, b"Trailer: X-Checksum", b"Connection: TE", b"TE: trailers")
    await line.tool_sees(message(POST, *expected, body=body))
    answer = message(b"HTTP/1.1 200 OK", CHUNKED, b"Trailer: Grpc-Status", body=b"0\r\nGrpc-Status: 0\r\n\r\n")
    line.tool_sends(answer)
    await line.client_gets(answer)
    await line.works()


async def test_trailers_that_could_stand_for_a_head_field_are_dropped(talk: Talk) -> None:
    line = await talk()
    names = (b"Authorization", b"Proxy_Authorization", b"Trailer", b"Host", b"Connection", b"X-Openapi-Address")
    bad = b"".join(name + b": 0\r\n" for name in names)
    line.client_sends(message(POST, b"Host: <proxy>", CHUNKED, body=b"0\r\n" + bad + b"Keep: me\r\n\r\n"))
    await line.tool_sees(message(POST, b"Host: <tool>", CHUNKED, body=b"0\r\nKeep: me\r\n\r\n"))
    of_answers = (b"Set-Cookie", b"Location", b"WWW-Authenticate", b"X-Connectors-Reason", b"Keep-Alive")
    bad = b"".join(name + b": 0\r\n" for name in of_answers)
    line.tool_sends(message(b"HTTP/1.1 200 OK", CHUNKED, body=b"0\r\n" + bad + b"Keep: me\r\n\r\n"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", CHUNKED, body=b"0\r\nKeep: me\r\n\r\n"))
    await line.works()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        pytest.param(b"HEAD", message(b"HTTP/1.1 200 OK", b"Content-Length: 1000"), id="HEAD with a length"),
        pytest.param(b"HEAD", message(b"HTTP/1.1 200 OK", CHUNKED), id="HEAD of a chunked body"),
        pytest.param(b"HEAD", message(b"HTTP/1.1 404 Not Found"), id="HEAD without any framing"),
        pytest.param(b"GET", message(b"HTTP/1.1 204 No Content"), id="204"),
        pytest.param(b"GET", message(b"HTTP/1.1 204 No Content", b"Content-Length: 0"), id="204 with a length"),
        pytest.param(b"GET", message(b"HTTP/1.1 304 Not Modified", b"Content-Length: 1000"), id="304 with a length"),
        pytest.param(b"GET", message(b"HTTP/1.1 200 OK", b"Content-Length: 0"), id="length 0"),
        pytest.param(b"GET", message(b"HTTP/1.1 999 Odd", b"Content-Length: 0"), id="an unknown status"),
        pytest.param(b"GET", message(b"HTTP/1.1 200 ", b"Content-Length: 0"), id="no reason phrase"),
        pytest.param(b"GET", message(b"HTTP/1.1 200 \xc3\xa4 b\tc", b"Content-Length: 0"), id="an odd reason phrase"),
    ],
)
async def test_responses_without_a_body(talk: Talk, method: bytes, answer: bytes) -> None:
    line = await talk()
    line.client_sends(message(method + b" / HTTP/1.1", b"Host: <proxy>"))
    await line.tool_sees(message(method + b" / HTTP/1.1", b"Host: <tool>"))
    line.tool_sends(answer)
    await line.client_gets(answer)
    await line.works()
    assert len(line.upstream.connections) == 1


async def test_close_delimited_response(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 200 OK", b"X: y", body=b"some"))
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"X: y", b"Connection: close", body=b"some"))
    line.tool_sends(b"more")
    await line.client_gets(b"more")
    line.tool.close()
    await line.client_is_closed()


async def test_response_of_an_http_1_0_tool(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get())
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.0 200 OK", b"Content-Length: 2", body=b"ok"))
    await line.client_gets(OK)
    await line.tool.wait_closed()
    await line.works()


async def test_t12_an_encoded_body_passes_as_it_is(talk: Talk) -> None:
    line = await talk()
    packed = gzip.compress(b"hello " * 100, mtime=0)
    line.client_sends(get(b"/", b"Accept-Encoding: gzip"))
    await line.tool_sees(seen(b"/", b"Accept-Encoding: gzip"))
    answer = message(b"HTTP/1.1 200 OK", b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed), body=packed)
    line.tool_sends(answer)
    await line.client_gets(answer)
    line.client_sends(
        message(POST, b"Host: <proxy>", b"Content-Encoding: gzip", b"Content-Length: 3", body=b"\x1f\x8b\0")
    )
    await line.tool_sees(
        message(POST, b"Host: <tool>", b"Content-Encoding: gzip", b"Content-Length: 3", body=b"\x1f\x8b\0")
    )
    line.tool_sends(OK)
    await line.client_gets(OK)


# -- HTTP/1.0 clients


async def test_http_1_0_client_gets_its_answer_and_the_end(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>"))
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"))
    await line.client_is_closed()


async def test_http_1_0_client_that_asks_to_keep_the_connection(talk: Talk) -> None:
    line = await talk()
    for _ in range(2):
        line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>", b"Connection: Keep-Alive"))
        await line.tool_sees(seen())
        line.tool_sends(OK)
        await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: keep-alive", body=b"ok"))


@pytest.mark.parametrize("connection", [(), (b"Connection: keep-alive",)], ids=["close", "keep-alive"])
async def test_http_1_0_client_gets_a_chunked_body_decoded(talk: Talk, connection: tuple[bytes, ...]) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>", *connection))
    await line.tool_sees(seen())
    line.tool_sends(
        message(b"HTTP/1.1 200 OK", CHUNKED, b"Trailer: T", body=b"3\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n")
    )
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Connection: close", body=b"abcde"))
    await line.client_is_closed()


async def test_http_1_0_client_without_host_over_the_path_form(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET /namespaces/default/connectors/tool/x HTTP/1.0", b"A: b"))
    await line.tool_sees(message(b"GET /x HTTP/1.1", b"Host: <tool>", b"A: b"))
    line.tool_sends(OK)
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"))
    await line.client_is_closed()


async def test_http_1_0_client_never_gets_an_interim_response(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.0", b"Host: <proxy>"))
    await line.tool_sees(seen())
    line.tool_sends(message(b"HTTP/1.1 103 Early Hints", b"Link: </a>") + OK)
    await line.client_gets(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", b"Connection: close", body=b"ok"))
    await line.client_is_closed()
