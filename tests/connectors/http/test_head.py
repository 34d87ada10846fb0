from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.framing import CHUNKED, NO_BODY, BodyKind, Framing
from connectors.http.head import (
    connection_tokens,
    has_bare_lf_or_nul,
    parse_request,
    parse_response,
    parse_trailers,
    require_completable,
    tokens,
    write_request,
    write_response,
)
from connectors.http.message import MessageError, RequestHead, ResponseHead, Version
from connectors.objects.reasons import Reason

COUNT = 128
LINE = b"POST / HTTP/1.1\r\nHost: a\r\n"
STATUS = b"HTTP/1.1 200 OK\r\n"

TOKEN = st.text("abcXYZ09!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if b >= 0x20 and b != 0x7F).strip())
TARGET = st.text("abz019-._~%!$&'()*+,;=:@/?", max_size=40).map(lambda text: b"/" + text.encode())
METHOD = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"REPORT"])
_SPECIAL = {b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"proxy-connection"}
FIELDS = st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in _SPECIAL), VALUE), max_size=8)


@st.composite
def request_heads(draw: st.DrawFn) -> RequestHead:
    fields = draw(FIELDS)
    fields.insert(draw(st.integers(0, len(fields))), (draw(st.sampled_from([b"Host", b"hOST"])), b"a.example:80"))
    return RequestHead(draw(METHOD), draw(TARGET), tuple(fields))


@given(request_heads())
def test_a_request_head_survives_parsing_and_writing(head: RequestHead) -> None:
    raw = write_request(head)
    parsed = parse_request(raw, header_count=COUNT)
    assert parsed.head == head
    assert write_request(parsed.head) == raw
    assert (parsed.framing, parsed.keep_alive) == (NO_BODY, True)


# llhttp takes a 101 for what it is, and stops: only one that was asked for is ever read further.
@given(st.integers(100, 999).filter(lambda status: status != 101), VALUE, FIELDS)
def test_a_response_head_survives_parsing_and_writing(
    status: int, reason: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    head = ResponseHead(status, reason, tuple(fields))
    assert parse_response(write_response(head), header_count=COUNT) == head


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=60).map(lambda raw: LINE + raw)))
def test_garbage_is_a_message_error_and_nothing_else(raw: bytes) -> None:
    for parse in (parse_request, parse_response):
        try:
            parse(raw + b"\r\n\r\n", header_count=COUNT)
        except MessageError:
            continue


@given(request_heads(), st.integers(0, 400))
def test_no_beginning_of_an_acceptable_head_is_refused(head: RequestHead, cut: int) -> None:
    raw = write_request(head)
    # The tightest limits under which client.py takes this head as a whole.
    tightest = {"target_bytes": len(head.target), "head_bytes": len(raw) - len(b"\r\n\r\n")}
    require_completable(raw[: min(cut, len(raw) - 1)], **tightest)


@pytest.mark.parametrize(
    ("raw", "target_bytes", "head_bytes", "reason"),
    [
        pytest.param(b"GET /" + b"a" * 200, 100, 1000, Reason.URI_TOO_LONG, id="target without an end"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 300, 100, 300, Reason.HEAD_TOO_LARGE, id="head without an end"),
        pytest.param(b"GET / HTTP/1.1\nHost: a", 100, 300, Reason.REQUEST_MALFORMED, id="bare LF"),
        pytest.param(b"\nGET /", 100, 300, Reason.REQUEST_MALFORMED, id="bare LF first"),
        pytest.param(b"GET /\0", 100, 300, Reason.REQUEST_MALFORMED, id="NUL"),
    ],
)
def test_hopeless_beginnings_are_refused_early(raw: bytes, target_bytes: int, head_bytes: int, reason: Reason) -> None:
    with pytest.raises(MessageError) as refused:
        require_completable(raw, target_bytes=target_bytes, head_bytes=head_bytes)
    assert refused.value.refusal.reason is reason


MALFORMED = {
    "two framings": LINE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two framings the other way": LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "duplicate Content-Length": LINE + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "different Content-Lengths": LINE + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "signed Content-Length": LINE + b"Content-Length: +5\r\n\r\n",
    "negative Content-Length": LINE + b"Content-Length: -5\r\n\r\n",
    "listed Content-Length": LINE + b"Content-Length: 5, 5\r\n\r\n",
    "empty Content-Length": LINE + b"Content-Length:\r\n\r\n",
    "hex Content-Length": LINE + b"Content-Length: 0x5\r\n\r\n",
    "spaced Content-Length": LINE + b"Content-Length: 5 5\r\n\r\n",
    "Content-Length above 2**63": LINE + b"Content-Length: 9223372036854775808\r\n\r\n",
    "Content-Length above 2**64": LINE + b"Content-Length: 18446744073709551621\r\n\r\n",
    "coding not chunked": LINE + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunked not last": LINE + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "chunked behind another": LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "chunked twice": LINE + b"Transfer-Encoding: chunked, chunked\r\n\r\n",
    "two Transfer-Encodings": LINE + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
    "identity then chunked": LINE + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked with a vertical tab": LINE + b"Transfer-Encoding: \x0bchunked\r\n\r\n",
    "chunked in quotes": LINE + b'Transfer-Encoding: "chunked"\r\n\r\n',
    "Transfer-Encoding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "space before the colon": LINE + b"Content-Length : 5\r\n\r\n",
    "tab before the colon": LINE + b"Transfer-Encoding\t: chunked\r\n\r\n",
    "obs-fold": LINE + b"X: a\r\n b\r\n\r\n",
    "obs-fold of a framing field": LINE + b"Transfer-Encoding:\r\n chunked\r\n\r\n",
    "bare CR in a value": LINE + b"X: a\rContent-Length: 5\r\n\r\n",
    "bare LF in a value": LINE + b"X: a\nContent-Length: 5\r\n\r\n",
    "bare LF behind the line": b"POST / HTTP/1.1\nHost: a\r\n\r\n",
    "NUL in a value": LINE + b"X: a\0b\r\n\r\n",
    "NUL in a name": LINE + b"X\0: a\r\n\r\n",
    "control byte in a value": LINE + b"X: a\x01b\r\n\r\n",
    "line without a colon": LINE + b"nonsense\r\n\r\n",
    "empty name": LINE + b": a\r\n\r\n",
    "duplicate Host": LINE + b"Host: a\r\n\r\n",
    "duplicate Host in HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "missing Host": b"GET / HTTP/1.1\r\n\r\n",
    "space before the first field": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "control byte in the target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab for a space": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "space behind the version": b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\n",
    "http/1.1": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "RTSP": b"DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n",
    "ICE": b"SOURCE / ICE/1.0\r\n\r\n",
    "method in lower case": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_t11_malformed_requests_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError) as refused:
        parse_request(raw, header_count=COUNT)
    assert refused.value.refusal.reason is Reason.REQUEST_MALFORMED


MALFORMED_ANSWERS = {
    "two framings": STATUS + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "duplicate Content-Length": STATUS + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
    "obs-fold": STATUS + b"X: a\r\n b\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nX: a\r\n\r\n",
    "bare LF in a field": STATUS + b"X: a\nY: b\r\n\r\n",
    "bare CR": STATUS + b"X: a\rY: b\r\n\r\n",
    "NUL": STATUS + b"X: \0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 99 x\r\n\r\n",
    "status below 100": b"HTTP/1.1 099 x\r\n\r\n",
    "status of four digits": b"HTTP/1.1 1000 x\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "too many fields": STATUS + b"X: a\r\n" * (COUNT + 1) + b"\r\n",
}


@pytest.mark.parametrize("raw", MALFORMED_ANSWERS.values(), ids=MALFORMED_ANSWERS.keys())
def test_t11_malformed_answers_are_the_tools_fault(raw: bytes) -> None:
    with pytest.raises(MessageError) as refused:
        parse_response(raw, header_count=COUNT)
    assert refused.value.refusal.reason is Reason.UPSTREAM_PROTOCOL


@pytest.mark.parametrize("extra", [0, 1], ids=["at the limit", "above"])
def test_header_count(extra: int) -> None:
    raw = LINE + b"X: a\r\n" * (9 + extra) + b"\r\n"
    if not extra:
        assert len(parse_request(raw, header_count=10).head.headers) == 10
        return
    with pytest.raises(MessageError) as refused:
        parse_request(raw, header_count=10)
    assert refused.value.refusal.reason is Reason.HEAD_TOO_LARGE


def test_errors_never_quote_the_peer() -> None:
    for raw in MALFORMED.values():
        with pytest.raises(MessageError) as refused:
            parse_request(raw.replace(b"X: a", b"X: canary-5e2"), header_count=COUNT)
        assert "canary" not in refused.value.refusal.message


@pytest.mark.parametrize(
    ("fields", "framing", "keep_alive"),
    [
        pytest.param(b"", NO_BODY, True, id="neither"),
        pytest.param(b"Content-Length: 0\r\n", NO_BODY, True, id="length 0"),
        pytest.param(b"Content-Length: 70\r\n", Framing(BodyKind.LENGTH, 70), True, id="a zero behind"),
        pytest.param(b"transfer-encoding: Chunked\r\n", CHUNKED, True, id="chunked in any case"),
        pytest.param(b"Connection: Close\r\n", NO_BODY, False, id="close"),
        pytest.param(b"Connection: keep-alive\r\nConnection: x, close\r\n", NO_BODY, False, id="close wins"),
        pytest.param(
            b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n",
            Framing(BodyKind.LENGTH, 3),
            True,
            id="upgrade",
        ),
    ],
)
def test_framing_and_keep_alive(fields: bytes, framing: Framing, keep_alive: bool) -> None:
    parsed = parse_request(LINE + fields + b"\r\n", header_count=COUNT)
    assert (parsed.framing, parsed.keep_alive) == (framing, keep_alive)


@pytest.mark.parametrize(
    ("connection", "keep_alive"), [(b"", False), (b"Connection: Keep-Alive\r\n", True), (b"Connection: x\r\n", False)]
)
def test_http_1_0_stays_only_where_asked(connection: bytes, keep_alive: bool) -> None:
    parsed = parse_request(b"GET / HTTP/1.0\r\n" + connection + b"\r\n", header_count=COUNT)
    assert parsed.head.version is Version.HTTP_1_0
    assert parsed.keep_alive is keep_alive


def test_white_space_around_a_value_is_not_part_of_it() -> None:
    parsed = parse_request(LINE + b"X: \t a b\t \r\nY:\r\nZ: \r\n\r\n", header_count=COUNT)
    assert parsed.head.headers[1:] == ((b"X", b"a b"), (b"Y", b""), (b"Z", b""))


@given(FIELDS.filter(bool))
def test_trailers_survive(fields: list[tuple[bytes, bytes]]) -> None:
    section = b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n"
    assert parse_trailers(section) == tuple(fields)


@pytest.mark.parametrize(
    "section",
    [b"X: a\n\r\n\r\n", b"X: a\r\n b\r\n\r\n", b"X : a\r\n\r\n", b"X\r\n\r\n", b"\nX: a\r\n\r\n", b"X: \0\r\n\r\n"],
)
def test_t11_malformed_trailers_are_refused(section: bytes) -> None:
    with pytest.raises(MessageError):
        parse_trailers(section)


def test_tokens() -> None:
    assert tokens(b" Close ,\tX-A,, keep-ALIVE") == {b"close", b"x-a", b"keep-alive"}
    head = RequestHead(b"GET", b"/", ((b"Connection", b"a"), (b"connection", b"B, c"), (b"X", b"d")))
    assert connection_tokens(head) == {b"a", b"b", b"c"}


@pytest.mark.parametrize("cut", range(len(b"GET / HTTP/1.1\r\nA: b\n") - 1))
def test_a_bare_line_feed_is_found_wherever_the_head_was_split(cut: int) -> None:
    raw = b"GET / HTTP/1.1\r\nA: b\n"
    require_completable(raw[:cut], target_bytes=99, head_bytes=99)
    with pytest.raises(MessageError):
        require_completable(raw, target_bytes=99, head_bytes=99, scanned=cut)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"\0"]), max_size=8).map(b"".join),
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_a_bare_lf_or_nul_is_found_where_a_look_behind_would(raw: bytes, begin: int, more: int) -> None:
    begin = min(begin, len(raw))
    end = min(begin + more, len(raw))
    found = re.compile(rb"(?<!\r)\n|\0").search(raw, begin, end) is not None
    assert has_bare_lf_or_nul(raw, begin, end) is found
    assert has_bare_lf_or_nul(bytearray(raw), begin, end) is found
