"""Requests that not every server reads alike: refused with 400 and the end of the connection (threat 11)."""

from __future__ import annotations

import pytest

from proxy.settings import Limits, ProxySettings
from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk

POST = b"POST / HTTP/1.1"
HOST = b"Host: <proxy>"
CHUNKED = b"Transfer-Encoding: chunked"

MALFORMED = {
    "length and chunked": message(POST, HOST, b"Content-Length: 5", CHUNKED, body=b"0\r\n\r\n"),
    "chunked and length": message(POST, HOST, CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"),
    "two lengths": message(POST, HOST, b"Content-Length: 1", b"Content-Length: 2"),
    "two equal lengths": message(POST, HOST, b"Content-Length: 1", b"Content-Length: 1"),
    "signed length": message(POST, HOST, b"Content-Length: +1"),
    "negative length": message(POST, HOST, b"Content-Length: -1"),
    "listed length": message(POST, HOST, b"Content-Length: 1, 1"),
    "hexadecimal length": message(POST, HOST, b"Content-Length: 0x1"),
    "length with a blank": message(POST, HOST, b"Content-Length: 1 1"),
    "length with a zero before": message(POST, HOST, b"Content-Length: 010"),
    "underscored length": message(POST, HOST, b"Content-Length: 1_0"),
    "empty length": message(POST, HOST, b"Content-Length:"),
    "huge length": message(POST, HOST, b"Content-Length: 99999999999999999999"),
    "other digits": message(POST, HOST, b"Content-Length: \xd9\xa1"),
    "coding that is not chunked": message(POST, HOST, b"Transfer-Encoding: gzip"),
    "coding before chunked": message(POST, HOST, b"Transfer-Encoding: gzip, chunked"),
    "coding behind chunked": message(POST, HOST, b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": message(POST, HOST, CHUNKED, CHUNKED),
    "identity": message(POST, HOST, b"Transfer-Encoding: identity"),
    "chunked in disguise": message(POST, HOST, b"Transfer-Encoding: \x0bchunked"),
    "quoted coding": message(POST, HOST, b'Transfer-Encoding: "chunked"'),
    "chunked in HTTP/1.0": message(b"POST / HTTP/1.0", HOST, CHUNKED),
    "space before the colon": message(POST, HOST, b"Content-Length : 1"),
    "space before a name": message(POST, HOST, b" A: b"),
    "line fold": message(POST, HOST, b"A: b", b"\tc"),
    "bare CR in a value": message(POST, HOST, b"A: b\rC: d"),
    "bare LF in a value": message(POST, HOST, b"A: b\nC: d"),
    "lines of bare LF": b"GET / HTTP/1.1\nHost: <proxy>\n\n",
    "NUL in a value": message(POST, HOST, b"A: b\0c"),
    "NUL in a name": message(POST, HOST, b"A\0: b"),
    "name without a colon": message(POST, HOST, b"Nothing"),
    "empty name": message(POST, HOST, b": x"),
    "name outside ASCII": message(POST, HOST, b"\xc3\xa4: x"),
    "name in brackets": message(POST, HOST, b"A(b): x"),
    "control byte in a value": message(POST, HOST, b"A: b\x01c"),
    "DEL in a value": message(POST, HOST, b"A: b\x7fc"),
    "two hosts": message(POST, HOST, b"Host: c-other.default"),
    "two equal hosts": message(POST, HOST, HOST),
    "two hosts in HTTP/1.0": message(b"GET / HTTP/1.0", HOST, HOST),
    "no host": message(POST),
    "control byte in the target": message(b"GET /a\x01b HTTP/1.1", HOST),
    "tab in the target": message(b"GET /a\tb HTTP/1.1", HOST),
    "DEL in the target": message(b"GET /a\x7fb HTTP/1.1", HOST),
    "NUL in the target": message(b"GET /a\0b HTTP/1.1", HOST),
    "space in the target": message(b"GET /a b HTTP/1.1", HOST),
    "two spaces": message(b"GET  / HTTP/1.1", HOST),
    "tab for a space": message(b"GET\t/ HTTP/1.1", HOST),
    "no target": message(b"GET HTTP/1.1", HOST),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/1.2": message(b"GET / HTTP/1.2", HOST),
    "HTTP/01.1": message(b"GET / HTTP/01.1", HOST),
    "another protocol's version": message(b"GET / RTSP/1.0", HOST),
    "lower-case version": message(b"GET / http/1.1", HOST),
    "space behind the version": message(b"GET / HTTP/1.1 ", HOST),
    "method in lower case": message(b"get / HTTP/1.1", HOST),
    "method with odd bytes": message(b"GE\x80 / HTTP/1.1", HOST),
    "unknown method": message(b"FROBNICATE / HTTP/1.1", HOST),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x0a\n",
    "rubbish": b"\xff\xfe\xfd\r\n\r\n",
}

BROKEN_CHUNKS = {
    "0x": b"0x1\r\na\r\n0\r\n\r\n",
    "sign": b"+1\r\na\r\n0\r\n\r\n",
    "minus": b"-1\r\n",
    "blank before": b" 1\r\na\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n",
    "nothing": b"\r\n",
    "too many digits": b"10000000000000000\r\n",
    "bare LF behind the size": b"1\na\r\n0\r\n\r\n",
    "bare CR behind the size": b"1\ra\r\n0\r\n\r\n",
    "bare LF in an extension": b"1;a\nb\r\na\r\n",
    "control byte in an extension": b"1;\x01\r\na\r\n",
    "endless extension": b"1;" + b"x" * 300,
    "too much data": b"1\r\nab\r\n0\r\n\r\n",
    "bare LF behind the data": b"1\r\na\n0\r\n\r\n",
    "bad trailer": b"0\r\nA : b\r\n\r\n",
    "trailer that frames": b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer with NUL": b"0\r\nA: \0\r\n\r\n",
    "endless trailers": b"0\r\n" + b"A: b\r\n" * 4_000,
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=MALFORMED.keys())
async def test_t11_malformed_head(talk: Talk, request_bytes: bytes) -> None:
    line = await talk()
    line.client_sends(request_bytes + get(b"/smuggled"))
    head = await line.client_is_refused(b"400", b"RequestMalformed")
    assert b"\r\nConnection: close\r\n" in head
    await line.client_is_closed()
    assert line.upstream.connections == []


@pytest.mark.parametrize("chunks", BROKEN_CHUNKS.values(), ids=BROKEN_CHUNKS.keys())
async def test_t11_broken_chunks(talk: Talk, chunks: bytes) -> None:
    line = await talk()
    line.client_sends(message(POST, HOST, CHUNKED, body=chunks + get(b"/smuggled")))
    head = await line.client_is_refused(b"400", b"RequestMalformed")
    assert b"\r\nConnection: close\r\n" in head
    await line.client_is_closed()
    await line.tool_accepts()
    assert b"smuggled" not in await line.tool.read_to_eof()


async def test_t02_duplicate_host_is_refused_whichever_comes_first(talk: Talk) -> None:
    line = await talk()
    line.client_sends(message(b"GET / HTTP/1.1", b"Host: c-other.default", HOST))
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()


async def test_a_good_request_before_a_malformed_one_is_answered(talk: Talk) -> None:
    line = await talk()
    line.client_sends(get() + b"rubbish\r\n\r\n")
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)
    await line.client_is_refused(b"400", b"RequestMalformed")
    await line.client_is_closed()


# -- limits

LIMITS = Limits(head_bytes=1000, target_bytes=200, header_count=10)


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["defaults", "small"])
@pytest.mark.parametrize("ended", [True, False], ids=["complete", "endless"])
async def test_head_too_large(talk: Talk, limits: Limits, ended: bool) -> None:
    line = await talk(settings=ProxySettings(limits=limits))
    request = get(b"/", b"A: " + b"x" * limits.head_bytes)
    line.client_sends(request if ended else request[:-4] + b"yy")
    await line.client_is_refused(b"431", b"HeadTooLarge")
    await line.client_is_closed()
    assert line.upstream.connections == []


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["defaults", "small"])
async def test_head_just_small_enough(talk: Talk, limits: Limits) -> None:
    line = await talk(settings=ProxySettings(limits=limits))
    room = limits.head_bytes - len(line.filled(get(b"/", b"A: ")))
    line.client_sends(get(b"/", b"A: " + b"x" * room))
    await line.tool_sees(seen(b"/", b"A: " + b"x" * room))
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["defaults", "small"])
@pytest.mark.parametrize("ended", [True, False], ids=["complete", "endless"])
async def test_target_too_long(talk: Talk, limits: Limits, ended: bool) -> None:
    line = await talk(settings=ProxySettings(limits=limits))
    target = b"/" + b"x" * limits.target_bytes
    line.client_sends(get(target) if ended else b"GET " + target + b"y" * 100)
    await line.client_is_refused(b"414", b"URITooLong")
    await line.client_is_closed()


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["defaults", "small"])
async def test_target_just_short_enough(talk: Talk, limits: Limits) -> None:
    line = await talk(settings=ProxySettings(limits=limits))
    target = b"/" + b"x" * (limits.target_bytes - 1)
    line.client_sends(get(target))
    await line.tool_sees(seen(target))
    line.tool_sends(OK)
    await line.client_gets(OK)


@pytest.mark.parametrize("limits", [Limits(), LIMITS], ids=["defaults", "small"])
async def test_fields_too_many_and_just_few_enough(talk: Talk, limits: Limits) -> None:
    line = await talk(settings=ProxySettings(limits=limits))
    fields = [b"A: b"] * (limits.header_count - 1)
    line.client_sends(get(b"/", *fields))
    await line.tool_sees(seen(b"/", *fields))
    line.tool_sends(OK)
    await line.client_gets(OK)
    line.client_sends(get(b"/", *fields, b"A: b"))
    await line.client_is_refused(b"431", b"HeadTooLarge")
    await line.client_is_closed()


async def test_a_flood_of_empty_lines_holds_nobody_up(talk: Talk) -> None:
    line = await talk()
    line.client_sends(b"\r\n" * 100_000 + get())
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)
