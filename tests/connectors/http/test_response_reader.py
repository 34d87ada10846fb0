from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.http.message import MessageError
from connectors.http.response import Response
from connectors.http.response_reader import MAX_BODY, MAX_FIELDS, MAX_HEAD, MAX_INTERIM, ResponseReader

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = CHUNKED + b"2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX-Trailer: y\r\n\r\n"
EARLY = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
LENGTH_2, EMPTY = (("Content-Length", "2"),), ("Content-Length", "0")
Outcome = Response | str


def read(pieces: Iterable[bytes], method: bytes = b"GET", *, read_body: bool = True) -> Outcome:
    """The answer, or in one word why there is none; `pieces` are all that comes before the connection ends."""
    reader = ResponseReader(method, read_body=read_body)
    try:
        for piece in pieces:
            if (answer := reader.feed(piece)) is not None:
                return answer
        return reader.end() if reader.begun else "nothing"
    except MessageError:
        return "broken"


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted({min(place, len(raw)) for place in places} | {len(raw)})
    return [raw[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (EARLY + OK, Response(200, LENGTH_2, b"ok")),
        (HEAD + b"X: \xff\xe9\r\nContent-Length: 0\r\n\r\n", Response(200, (("X", "\ufffd" * 2), EMPTY))),
        (b"HTTP/1.1 200 \xff\r\nContent-Length: 0\r\n\r\n", Response(200, (EMPTY,))),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204)),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", Response(304, (("Content-Length", "9"),))),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw",
            Response(101, (("Upgrade", "x"), ("Connection", "upgrade"))),
        ),
        (
            HEAD + b"Set-Cookie: a=1\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n",
            Response(200, (("Set-Cookie", "a=1"), ("set-cookie", "b=2"), EMPTY)),
        ),
        (CHUNKS, Response(200, (("Transfer-Encoding", "chunked"),), b"abc")),
        (b"HTTP/1.0 200 OK\r\n\r\nto the end", Response(200, (), b"to the end")),
        (OK + b"HTTP/1.1 200 OK\r\n\r\nnobody asked", Response(200, LENGTH_2, b"ok")),
    ],
    ids=["interim", "not UTF-8", "reason", "no body", "not modified", "switched", "twice", "chunked", "close", "more"],
)
def test_answers(sent: bytes, expected: Response) -> None:
    assert read([sent]) == expected


@pytest.mark.parametrize("sent", [OK, CHUNKS, HEAD + b"\r\nto the end"])
def test_how_much_of_a_body_is_read(sent: bytes) -> None:
    head = read([sent], b"HEAD")
    assert isinstance(head, Response)
    assert (head.body, head.complete) == (b"", True)
    left = read([sent[: sent.index(b"\r\n\r\n") + 4]], read_body=False)
    assert isinstance(left, Response)
    assert (left.body, left.complete) == (b"", False)


def test_a_coding_is_not_undone() -> None:
    body = gzip.compress(b"x" * 5000)
    answer = read([HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)])
    assert isinstance(answer, Response)
    assert (answer.body, answer.header("content-encoding"), answer.complete) == (body, "gzip", True)


@pytest.mark.parametrize(("size", "complete"), [(MAX_BODY - 1, True), (MAX_BODY, True), (MAX_BODY + 1, False)])
@pytest.mark.parametrize(
    "framed", [b"Content-Length: %d\r\n\r\n%b", b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"]
)
def test_a_mebibyte_is_read(size: int, complete: bool, framed: bytes) -> None:
    raw = HEAD + framed % (size, b"x" * size)
    for pieces in ([raw], cut(raw, range(0, len(raw), 4096)), cut(raw, range(len(raw) - 20, len(raw)))):
        answer = read(pieces)
        assert isinstance(answer, Response)
        assert (len(answer.body), answer.complete) == (min(size, MAX_BODY), complete)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01", b"\r\n" + OK, b"HTTP/2 200\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n", b"HTTP/1.1 99 OK\r\n\r\n", HEAD[:-2] + b"\n", HEAD + b"X: y\n", HEAD + b"X: \0",
        HEAD + b"X: a\r\n b\r\n\r\n", HEAD + b"X : y\r\n\r\n", HEAD + b"X: " + b"y" * MAX_HEAD,
        HEAD + b"X: y\r\n" * (MAX_FIELDS + 1) + b"\r\n", HEAD + b"Content-Length: x\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKED + b"zz\r\n", CHUNKED + b"1\r\nabc",
        CHUNKED + b"0\r\nX y\r\n\r\n", EARLY * (MAX_INTERIM // 2) + EARLY,
    ],
)  # fmt: skip
def test_what_is_not_an_answer_is_known_before_the_connection_ends(sent: bytes) -> None:
    # An SSH server sends a line and waits: a client that waits for the end of a head would wait until the timeout.
    for pieces in ([sent], cut(sent, range(len(sent)))):
        reader = ResponseReader(b"GET", read_body=True)
        with pytest.raises(MessageError):
            assert [reader.feed(piece) for piece in pieces] == [None] * len(pieces)


def test_a_head_of_the_most_bytes_is_read() -> None:
    field = b"X: " + b"y" * (MAX_HEAD - len(HEAD) - len(b"X: \r\n\r\n")) + b"\r\n\r\n"
    assert isinstance(read([HEAD + field]), Response)
    assert read([HEAD + b"y" + field]) == "broken"


@pytest.mark.parametrize("sent", [OK, EARLY + OK, CHUNKS, EARLY + CHUNKS])
def test_a_connection_that_ends_early_gives_no_answer(sent: bytes) -> None:
    between = {0, EARLY.index(b"HTTP/1.1 103"), len(EARLY)} if sent.startswith(EARLY) else {0}
    for size in range(len(sent)):
        assert read([sent[:size]]) == ("nothing" if size in between else "broken")


STATUSES = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.0 404 No", b"HTTP/1.1 204 ", b"HTTP/1.1 302", b"HTTP/1.1 103 E"]
)
FIELDS = st.sampled_from(
    [b"Content-Length: 3", b"content-length:12", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"X: y",
     b"Location: /a ", b" folded", b"X: \xe9\0", b"X: y\nZ: z"]
)  # fmt: skip
BODIES = st.sampled_from([b"abc", b"3\r\nabc\r\n", b"0\r\n", b"c;a=b\r\n", b"X-Trailer: y\r\n", b"\r\n", b"\n"])
HEADS = st.builds(
    lambda status, fields: b"\r\n".join([status, *fields]) + b"\r\n\r\n", STATUSES, st.lists(FIELDS, max_size=3)
)
ANSWERS = st.builds(
    lambda heads, bodies: b"".join([*heads, *bodies]), st.lists(HEADS, max_size=3), st.lists(BODIES, max_size=6)
)
EXCEEDING = CHUNKED + b"%x\r\n" % MAX_BODY + b"x" * MAX_BODY + b"\r\n1\r\ny is too much"


@given(
    ANSWERS | st.binary(max_size=60), st.lists(st.integers(0, 200)), st.sampled_from([b"GET", b"HEAD"]), st.booleans()
)
@example(CHUNKS, [], b"GET", True)
@example(EARLY + OK, [], b"GET", True)
def test_however_an_answer_is_cut_the_outcome_is_the_same(
    sent: bytes, places: list[int], method: bytes, read_body: bool
) -> None:
    whole = read([sent], method, read_body=read_body)
    assert read(cut(sent, places), method, read_body=read_body) == whole
    assert read(cut(sent, range(len(sent))), method, read_body=read_body) == whole
    for place in range(len(sent)):
        assert read(cut(sent, [place]), method, read_body=read_body) == whole


@pytest.mark.parametrize("places", [[], [len(EXCEEDING) - 13], range(len(EXCEEDING) - 20, len(EXCEEDING))])
def test_what_is_wrong_behind_a_mebibyte_is_not_seen(places: Sequence[int]) -> None:
    answer = read(cut(EXCEEDING, places))
    assert isinstance(answer, Response)
    assert (len(answer.body), answer.complete) == (MAX_BODY, False)
