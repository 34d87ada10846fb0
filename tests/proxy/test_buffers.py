from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import MessageError
from connectors.objects.reasons import Reason
from proxy.buffers import MAX_INTERIM, RequestBuffer, ResponseBuffer
from proxy.settings import Limits

LIMITS = Limits(head_bytes=200, target_bytes=60, header_count=3)
ONE = b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
TWO = b"\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n"
BODY = b"the body"


def pieces(raw: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = sorted({min(cut, len(raw)) for cut in cuts} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(st.lists(st.integers(0, 80)))
def test_requests_are_cut_off_wherever_they_were_split(cuts: list[int]) -> None:
    buffer = RequestBuffer(LIMITS)
    targets = []
    for piece in pieces(ONE + TWO + ONE, cuts):
        buffer.add(piece)
        while len(buffer) and (request := buffer.next_request()):
            targets.append(request.head.target)
    assert targets == [b"/1", b"/2", b"/1"]
    assert len(buffer) == 0


def test_what_lies_behind_a_head_stays() -> None:
    buffer = RequestBuffer(LIMITS)
    buffer.add(ONE + BODY)
    assert buffer.next_request() is not None
    assert len(buffer) == len(BODY)
    assert buffer.take_all() == BODY
    assert buffer.take_all() == b""
    buffer.add(ONE)
    assert buffer.next_request() is not None


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"GET /" + b"x" * 100, Reason.URI_TOO_LONG, id="endless target"),
        pytest.param(b"GET /" + b"x" * 60 + b" HTTP/1.1\r\nHost: a\r\n\r\n", Reason.URI_TOO_LONG, id="long target"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200, Reason.HEAD_TOO_LARGE, id="endless head"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"x" * 300 + b"\r\n\r\n", Reason.HEAD_TOO_LARGE, id="long head"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\n", Reason.REQUEST_MALFORMED, id="bare LF"),
        pytest.param(b"\r\n" * 300 + b"\n", Reason.REQUEST_MALFORMED, id="bare LF behind empty lines"),
    ],
)
def test_what_cannot_become_a_request(raw: bytes, reason: Reason) -> None:
    for cuts in ((), range(1, len(raw))):
        buffer = RequestBuffer(LIMITS)
        with pytest.raises(MessageError) as refused:
            for piece in pieces(raw, cuts):
                buffer.add(piece)
                buffer.next_request()
        assert refused.value.refusal.reason is reason


@given(st.lists(st.integers(0, 80)))
def test_responses_are_cut_off_wherever_they_were_split(cuts: list[int]) -> None:
    buffer = ResponseBuffer(LIMITS)
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + BODY
    statuses: list[int] = []
    for piece in pieces(raw, cuts):
        buffer.add(piece)
        while (not statuses or statuses[-1] < 200) and (head := buffer.next_head()):
            statuses.append(head.status)
    assert statuses == [103, 200]
    assert buffer.take_all() == BODY


@pytest.mark.parametrize(
    "raw",
    [b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300, b"HTTP/2 200\r\n\r\n"],
    ids=["not HTTP", "bare LF", "endless head", "HTTP/2"],
)
def test_what_cannot_become_a_response(raw: bytes) -> None:
    for cuts in ((), range(1, len(raw))):
        buffer = ResponseBuffer(LIMITS)
        with pytest.raises(MessageError) as refused:
            for piece in pieces(raw, cuts):
                buffer.add(piece)
                buffer.next_head()
        assert refused.value.refusal.reason is Reason.UPSTREAM_PROTOCOL


def test_a_flood_of_interim_responses_ends() -> None:
    buffer = ResponseBuffer(LIMITS)
    buffer.add(b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1))
    for _ in range(MAX_INTERIM):
        assert buffer.next_head() is not None
    with pytest.raises(MessageError):
        buffer.next_head()
