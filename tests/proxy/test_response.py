from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.http.framing import CHUNKED, BodyKind, Framing
from connectors.http.head import HEAD_END
from connectors.http.message import MessageError, ResponseHead, Version
from proxy.buffers import ResponseBuffer
from proxy.decision import Forward
from proxy.locations import UriReferences
from proxy.response import COST, MAX_CANDIDATES, Answer, KnownLines, judged_answer, known_answer, without_coding
from proxy.scrub import ClientSide, client_head, field_for_client
from proxy.settings import Limits
from tests.peers.heap import bytes_of, texts_with
from tests.proxy.decisions import forward_of, keyed, request, tool

LIMITS = Limits()
SIDE = ClientSide("https")
BUDGET = 32 * 1024
OK = b"HTTP/1.1 200 OK"
FORWARDS = (
    forward_of(request(host=b"c-tool.team"), tool("https://tool.example/git")),
    forward_of(request(b"/v2/namespaces/team/connectors/tool/x", host=b"proxy:1"), tool("https://tool.example/git")),
    keyed(b"long-s3cret"),
)

NAMES = [
    *(b"Content-Length", b"content-length", b"Content_Length", b"Transfer-Encoding", b"transfer_encoding"),
    *(b"Connection", b"connection", b"Close", b"Keep-Alive", b"Keep_Alive", b"Upgrade", b"TE", b"Trailer"),
    *(b"Proxy-Connection", b"Proxy-Authenticate", b"HTTP2-Settings", b"Location", b"Content-Location", b"Link"),
    *(b"Refresh", b"Set-Cookie", b"Set_Cookie", b"WWW-Authenticate", b"X-Connectors-Reason", b"x_connectors_reason"),
    *(b"X-Anything", b"x-anything", b"X-A", b"X-Request-Id", b"ETag", b"X Space", b"X-\xff", b""),
]
VALUES = [
    *(b"5", b"05", b"0", b"+5", b"5, 5", b"1" * 18, b"9" * 19, b"9" * 40, b"chunked", b"Chunked", b"gzip, chunked"),
    *(b"close", b"Close", b"keep-alive", b"close, X-A", b"X-A", b"upgrade", b"timeout=5", b"websocket", b"trailers"),
    *(b"/git/a?key=long-s3cret", b"https://tool.example/git/z", b"<https://tool.example/git/z>; rel=next", b"5;url=/a"),
    *(b"a=b; Path=/git; Domain=tool.example", b'Bearer realm="https://evil"', b'Basic realm="x"', b"\xff\x80"),
    *(b"x", b"", b"a\0b", b"a\nb", b"a\rb", b"a\tb", b"a\x7fb", b"long-s3cret"),
]
BODYLESS = [b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified"]
STATUS_LINES = [
    *(OK, b"HTTP/1.1 404 Not Found", b"HTTP/1.1 302 Found", *BODYLESS),
    *(b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 OK "),
    *(b"HTTP/1.1 999 X", b"HTTP/1.1 200 \xff\t", b"HTTP/1.1 200 a\0", b"HTTP/1.1 99 X", b"HTTP/1.1 1000 X"),
    *(b"HTTP/2 200 OK", b"http/1.1 200 OK", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 200 OK\nX: y", b"ICY 200 OK", b""),
]
PLAIN_LINES = [
    *(b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: close", b"Connection: keep-alive"),
    *(b"Keep-Alive: timeout=5", b"Keep-Alive: timeout=9", b"X-Anything: x", b"Close: x", b"Location: /git/a"),
    *(b"Set-Cookie: a=b; Path=/git", b"Content_Length: 9", b"Upgrade: h2c", b"Trailer: X-A"),
]


def mostly(good: Sequence[bytes], all_: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """What is right as often as all others: a head of nothing but errors shows nothing."""
    return st.one_of(st.sampled_from(good), st.sampled_from(all_))


ODD_LINES = st.tuples(
    st.sampled_from(NAMES),
    mostly([b": "], [b":", b":  ", b":\t", b" : ", b"", b": \r\n "]),
    st.sampled_from(VALUES),
    mostly([b""], [b" ", b"\t", b"\r\n folded", b"\r\n\tfolded", b"\n", b"\r"]),
).map(b"".join)
LINES = st.one_of(st.sampled_from(PLAIN_LINES), ODD_LINES)
HEADS = st.builds(
    lambda status, lines: b"\r\n".join([status, *lines]),
    mostly([OK], STATUS_LINES),
    st.lists(LINES, max_size=5),
)


def rewrite(forward: Forward, name: bytes, value: bytes) -> bytes | None:
    return field_for_client(name, value, UriReferences(forward, SIDE.scheme))


def judged(raw: bytes, forward: Forward) -> tuple[Answer, ResponseHead, bytes] | None:
    """The long way of proxy/relay.py; None where the tool's answer is refused, or is an interim one."""
    buffer = ResponseBuffer(LIMITS)
    try:
        buffer.add(raw + HEAD_END)
        head = buffer.next_head()
        if head is None or head.status < 200:
            return None
        return judged_answer(head, client_head(head, forward, SIDE).headers), head, buffer.status_line
    except MessageError:
        return None


def known(raw: bytes, lines: KnownLines, forward: Forward) -> Answer | None:
    """The short way of proxy/relay.py."""
    data = raw + HEAD_END
    end = data.find(HEAD_END)
    if end <= 0:
        return None
    return lines.heads.get(data[:end]) or known_answer(data[:end], lines, partial(rewrite, forward), 100)


def parts(answer: Answer) -> tuple[object, ...]:
    return answer.status, answer.head, answer.framing, answer.persistent, answer.keep_alive


def check_both_ways(raw: bytes, lines: KnownLines, forward: Forward) -> bool:
    """What is known of the head is what the long way makes of it, which is learned from; whether it was known."""
    short, long = known(raw, lines, forward), judged(raw, forward)
    if short is not None:
        assert long is not None, "the long way refuses what is known"
        assert parts(short) == parts(long[0])
    elif long is not None:
        lines.learn(long[2], long[1])
    return short is not None


@settings(max_examples=400)
@given(st.lists(HEADS, min_size=1, max_size=6), st.sampled_from(FORWARDS), st.sampled_from([0, 600, 2000, BUDGET]))
@example([b"HTTP/1.1 200 OK\r\nConnection: close\r\nClose: x"], FORWARDS[0], BUDGET)
@example([b"HTTP/1.1 200 OK\r\nContent-Length:2", b"HTTP/1.1 200 OK\r\nContent-Length:  2 "], FORWARDS[0], BUDGET)
def test_what_is_known_is_what_the_long_way_makes_of_it(heads: list[bytes], forward: Forward, budget: int) -> None:
    lines = KnownLines(budget)
    for _ in range(3):
        for raw in heads:
            check_both_ways(raw, lines, forward)


@settings(max_examples=400)
@given(st.lists(LINES, max_size=4), st.sampled_from(FORWARDS))
def test_each_line_was_seen_and_they_come_together_for_the_first_time(fields: list[bytes], forward: Forward) -> None:
    lines = KnownLines(BUDGET)
    for _ in range(3):
        for field in fields:
            check_both_ways(OK + b"\r\n" + field, lines, forward)
    check_both_ways(b"\r\n".join([OK, *fields]), lines, forward)


def taught(*heads: bytes, budget: int = BUDGET) -> KnownLines:
    """Known lines that have learned from these heads."""
    lines = KnownLines(budget)
    for raw in heads:
        long = judged(raw, FORWARDS[0])
        assert long is not None
        lines.learn(long[2], long[1])
    return lines


def answer(*made: bytes | Framing | bool | None) -> Answer:
    """(field lines, framing, persistent, keep_alive)"""
    *lines, framing, persistent, keep_alive = made
    assert framing is None or isinstance(framing, Framing)
    assert isinstance(keep_alive, bytes)
    head = b"".join(line + b"\r\n" for line in (OK, *lines) if isinstance(line, bytes))
    return Answer(200, head, framing, persistent is True, keep_alive)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ((b"X-A: 1", b"X-A: 2"), answer(b"X-A: 1", b"X-A: 2", None, True, b"")),
        ((b"Content-Length: 50",), answer(b"Content-Length: 50", Framing(BodyKind.LENGTH, 50), True, b"")),
        ((b"Transfer-Encoding: Chunked",), answer(b"Transfer-Encoding: Chunked", CHUNKED, True, b"")),
        ((b"Content_Length: 9", b"X: y"), answer(b"Content_Length: 9", b"X: y", None, True, b"")),
        ((b"Connection: Close",), answer(None, False, b"")),
        ((b"Connection: keep-alive", b"Keep-Alive: timeout=5"), answer(None, True, b"timeout=5")),
        ((b"Keep-Alive: timeout=5", b"Keep-Alive: timeout=9"), answer(None, True, b"timeout=5")),
        ((b"Keep_Alive: timeout=5", b"Upgrade: h2c"), answer(None, True, b"")),
        ((b"Location: /git/a",), answer(b"Location: /a", None, True, b"")),
        ((b"Set_Cookie: a=b; Path=/git",), answer(b"Set_Cookie: a=b; Path=/", None, True, b"")),
        ((b'WWW-Authenticate: Bearer realm="https://evil"',), answer(None, True, b"")),
        ((b"X_Connectors_Reason: Forbidden",), answer(None, True, b"")),
        ((b"X: a\tb \xff",), answer(b"X: a\tb \xff", None, True, b"")),
    ],
    ids=lambda value: b" | ".join(value).decode("latin-1") if isinstance(value, tuple) else "",
)
def test_a_head_whose_lines_are_known(fields: tuple[bytes, ...], expected: Answer) -> None:
    raw = b"\r\n".join([OK, *fields])
    lines = taught(raw)
    for _ in range(3):
        found = known(raw, lines, FORWARDS[0])
        assert found is not None
        assert parts(found) == parts(expected)
    assert check_both_ways(raw, lines, FORWARDS[0])


@pytest.mark.parametrize(
    "spoilt",
    [
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        (b"Content-Length:5",),
        (b"Content-Length:  5",),
        (b"Content-Length: 5 ",),
        (b"Content-Length: 5,5",),
        (b"Content-Length: " + b"1" * 19,),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Connection: X-A", b"X-A: 1"),
        (b"X-A: 1", b"Connection: close, X-A"),
        (b"Connection: close", b"Close: x"),
        (b"X-A:",),
        (b"X-A: ",),
        (b"X-A: a\0b",),
        (b"X-A: a\nb",),
        (b"X-A: a", b" folded"),
        (b"X-New: 1",),
        (b"x-A: 1",),
        (b"no colon",),
    ],
    ids=lambda value: b" | ".join(value).decode("latin-1"),
)
def test_a_head_that_is_judged_as_a_whole(spoilt: tuple[bytes, ...]) -> None:
    names = (b"Content-Length: 5", b"X-A: 1", b"Connection: close", b"Close: x")
    lines = taught(b"\r\n".join([OK, *names]), b"\r\n".join([OK, b"Transfer-Encoding: chunked"]))
    raw = b"\r\n".join([OK, *spoilt])
    for _ in range(3):
        assert known(raw, lines, FORWARDS[0]) is None
    # What is judged each time is still passed on line by line beside it.
    assert known(OK + b"\r\nX-A: 1", lines, FORWARDS[0]) is not None


@pytest.mark.parametrize("status_line", STATUS_LINES[5:], ids=repr)
def test_a_status_line_is_kept_where_it_is_written_as_it_came(status_line: bytes) -> None:
    as_it_came = {b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK ", b"HTTP/1.1 999 X", b"HTTP/1.1 200 \xff\t"}
    lines = KnownLines(BUDGET)
    for seen in range(3):
        assert check_both_ways(status_line, lines, FORWARDS[0]) is (seen > 0 and status_line in as_it_came)


@pytest.mark.parametrize("status_line", BODYLESS)
@pytest.mark.parametrize("line", [b"Trailer: X-A", b"transfer_encoding: chunked", b"Transfer_Encoding: chunked"])
def test_t11_what_speaks_of_a_body_is_not_remembered_for_an_answer_without_one(status_line: bytes, line: bytes) -> None:
    lines = KnownLines(BUDGET)
    for begin in (OK, status_line) * 4:
        check_both_ways(begin + b"\r\n" + line, lines, FORWARDS[0])


@pytest.mark.parametrize("status_line", BODYLESS)
def test_t11_what_has_no_body_is_judged_where_it_promises_one(status_line: bytes) -> None:
    chunked, length = b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 5"
    lines = taught(OK + chunked, OK + length, status_line)
    assert known(status_line + chunked, lines, FORWARDS[0]) is None
    assert known(status_line + length, lines, FORWARDS[0]) is not None


def test_the_status_line_of_an_interim_answer_is_not_kept() -> None:
    lines = KnownLines(BUDGET)
    lines.learn(b"HTTP/1.1 103 Early Hints", ResponseHead(103, b"Early Hints", ()))
    assert lines.statuses == {}


def test_what_is_rewritten_is_made_for_each_request() -> None:
    raw = OK + b"\r\nLocation: https://tool.example/git/a"
    lines = taught(raw)
    answers = [known(raw, lines, forward) for forward in FORWARDS[:2] * 2]
    made = [answer.head.split(b"\r\n")[1] for answer in answers if answer]
    both = [b"Location: https://c-tool.team/a", b"Location: https://proxy:1/namespaces/team/connectors/tool/a"]
    assert made == both * 2


# -- what is kept

FIELD = b"X-Trace: %d"


def as_it_is(_: bytes, value: bytes) -> bytes:
    return value


def see(lines: KnownLines, *seen: bytes) -> None:
    for line in seen:
        lines.treated(line, as_it_is)


def test_a_line_is_kept_from_its_second_sight_on() -> None:
    lines = taught(OK + b"\r\nX-Trace: 0")
    assert lines.treated(FIELD % 1, as_it_is) is not None
    assert lines.lines == {}
    see(lines, FIELD % 2, FIELD % 1)
    assert set(lines.lines) == {FIELD % 1}


def test_what_is_forgotten_as_seen_is_seen_for_the_first_time() -> None:
    lines = taught(OK + b"\r\nX-Trace: 0")
    see(lines, FIELD % 0, *(FIELD % number for number in range(1, MAX_CANDIDATES + 1)), FIELD % 0)
    assert lines.lines == {}
    see(lines, FIELD % 0)
    assert set(lines.lines) == {FIELD % 0}


PRIVATE = [
    *("Authentication-Info", "X-Auth-Token", "Set-Cookie", "X-Cookie", "X-Credentials", "X-CSRF", "X-JWT-Assertion"),
    *("X-Api-Key", "Link", "Location", "Content-Location", "X-Password", "Refresh", "Client-Secret", "X-Session-Id"),
    *("Signature", "X-Amz-Signature", "PRIVATE-TOKEN", "Private_Token", "X-Request-Id", "WWW-Authenticate"),
    *("X-Deep-Link", "X-Real-Location", "X-Refresh", "X-Connectors-Reason", "JSESSIONID"),
]


@pytest.mark.parametrize("name", PRIVATE)
def test_of_a_private_field_the_name_alone_is_kept(name: str) -> None:
    line = f"{name}: canary-5e1f".encode()
    lines = taught(OK + b"\r\n" + line)
    for _ in range(4):
        see(lines, line)
        assert known(OK + b"\r\n" + line, lines, FORWARDS[0]) is not None
    assert lines.lines == {}
    assert texts_with(name.encode(), lines)
    assert texts_with(b"canary", lines) == []


SIZES = st.integers(0, 4000)
FED = st.lists(st.tuples(st.sampled_from([b"status", b"name", b"line", b"line again"]), SIZES, SIZES), max_size=60)


@settings(max_examples=200)
@given(st.sampled_from([0, 300, 1000, 5000, BUDGET]), FED)
def test_the_budget_bounds_whatever_is_fed(budget: int, fed: list[tuple[bytes, int, int]]) -> None:
    lines = KnownLines(budget)
    empty = bytes_of(lines)
    for what, size, other in fed:
        name = b"N%d-" % size + b"n" * size
        match what:
            case b"status":
                reason = b"r" * size + b"%d" % other
                lines.learn(b"HTTP/1.1 200 " + reason, ResponseHead(200, reason, ()))
            case b"name":
                lines.learn(b"", ResponseHead(200, b"", ((name, b"x"),)))
            case _:
                line = b"%b: %d" % (name, other)
                see(lines, *([line] * 2 if what == b"line again" else [line]))
        # Beside it the hashes of candidates, and dicts that are larger than what is in them.
        assert bytes_of(lines) - empty <= budget + budget // 4 + MAX_CANDIDATES * 128


def test_a_tool_that_never_repeats_itself_costs_its_own_budget_alone() -> None:
    lines = taught(OK + b"\r\nX-Trace: 0")
    names = ((b"X-Trace", b""), (b"Content-Length", b""))
    for number in range(5000):
        see(lines, *[FIELD % number, b"Content-Length: %d" % number] * 2)
        reason = b"OK %d" % number
        lines.learn(b"HTTP/1.1 200 " + reason, ResponseHead(200, reason, (*names, (b"X-%d" % number, b""))))
    assert 0 < len(lines.lines) + len(lines.statuses) <= BUDGET // COST
    assert bytes_of(lines) <= 2 * BUDGET


def test_long_lines_cost_what_they_hold() -> None:
    lines = taught(OK + b"\r\nX-Trace: 0")
    held = []
    for number in range(14):
        see(lines, *[FIELD % number + b"x" * 2000] * 2)
        held.append(bytes_of(lines))
    assert BUDGET // 2 < max(held) <= BUDGET * 5 // 4


def test_what_is_too_large_for_the_budget_is_not_kept() -> None:
    lines = taught(OK + b"\r\nX-Trace: 0", budget=3 * COST)
    long = b"X-Trace: " + b"x" * 3 * COST
    see(lines, long, long, long)
    assert lines.lines == {}


# -- the other way, and the client of HTTP/1.0


@pytest.mark.parametrize("field", [b"Content-Length: 1\r\nContent-Length: 1", b"Transfer-Encoding: gzip"])
def test_a_broken_framing_is_refused(field: bytes) -> None:
    head = ResponseHead(
        200, b"OK", tuple((line.split(b": ")[0], line.split(b": ")[1]) for line in field.split(b"\r\n"))
    )
    with pytest.raises(MessageError):
        judged_answer(head, head.headers)


@pytest.mark.parametrize(
    ("version", "connection", "persistent"),
    [
        (Version.HTTP_1_1, (), True),
        (Version.HTTP_1_1, (b"keep-alive", b"X-A, Close"), False),
        (Version.HTTP_1_1, (b"keep-alive",), True),
        (Version.HTTP_1_0, (), False),
        (Version.HTTP_1_0, (b"keep-alive",), False),
    ],
)
def test_whether_a_tool_keeps_its_connection(version: Version, connection: tuple[bytes, ...], persistent: bool) -> None:
    head = ResponseHead(200, b"OK", tuple((b"Connection", value) for value in connection), version)
    assert parts(judged_answer(head, ())) == parts(answer(None, persistent, b""))


def test_a_client_that_knows_no_chunks() -> None:
    kept = ((b"X-A", b"Trailer: x"),)
    framing = ((b"Transfer-Encoding", b"chunked"), (b"trailer", b"X-A"), (b"TRANSFER-ENCODING", b"chunked"))
    assert without_coding(framing[:1] + kept + framing[1:]) == kept


def test_an_answer_does_not_show_itself() -> None:
    answer = Answer(200, b"X: canary\r\n", None, True, b"canary")
    assert {repr(answer), str(answer), f"{answer}", format(answer), f"{answer!a}"} == {"Answer(200)"}
