"""No head within the limits holds the loop for more than 50 ms of CPU (threat 31).

Each test takes a kind of input at the largest size that the limits allow, and hypothesis chooses its shape: what costs
more than its length would show there, whatever the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from connectors.http.message import MessageError
from connectors.http.plain import plain_head
from connectors.http.response_reader import ResponseReader
from connectors.objects.reasons import RefusedError
from proxy.buffers import RequestBuffer, ResponseBuffer
from proxy.decision import Forward
from proxy.locations import UriReferences
from proxy.response import KnownLines, known_answer
from proxy.scrub import CHANGED, ClientSide, client_head, field_for_client
from proxy.settings import Limits
from tests.e2e.turns import BUDGET, atoms, cpu_seconds, filled, repeated
from tests.proxy.decisions import forward_of, judge, keyed, request, response, snapshot_of, tool
from tests.proxy.test_relay import started

# Not shrunk: examples are large, and one that is too slow would be run for a minute.
SOME = settings(max_examples=60, phases=[Phase.explicit, Phase.generate])
KIB = 1024
LIMITS = Limits()
VALUE, TARGET = LIMITS.head_bytes - 256, LIMITS.target_bytes
BY_PATH = b"/namespaces/team/connectors/tool/"


def behind(unit: bytes) -> Forward:
    """A request with the longest path that there may be."""
    return forward_of(request(filled(BY_PATH, unit, LIMITS.target_bytes, b"x"), host=b"proxy:1"), tool("https://t/git"))


FORWARDS = [behind(b"d/"), behind(b"./"), behind(b"dddd"), forward_of(request(b"/x")), keyed(b"long-s3cret")]
ATOMS = atoms(
    r"""< > <../> <..>, </git/a>, <//t/git>, ../ ./ / .. %2e \ a ? & key=1& # ; = , " \\ url= URL https://t/git
    ;path=/ ;Path=/git/.. ;domain= secure; bearer Basic,x, %25""",
    *(b"\xff", b"Bearer ", b'bearer a="'),
)
NAMES = [*sorted(CHANGED), b"Connection", b"Keep-Alive", b"X-Other", b"Content-Length", b"Transfer-Encoding"]


def response_head(name: bytes, value: bytes, fields: int) -> bytes:
    """One response head, of about the most bytes, with so many fields of the name."""
    each = value[: VALUE // fields - len(name) - 4].strip(b" \t")
    return b"HTTP/1.1 200 OK\r\n" + (name + b": " + each + b"\r\n") * fields + b"\r\n"


@SOME
@given(st.sampled_from(NAMES), repeated(ATOMS, VALUE), st.sampled_from([1, 2, 16, 120]), st.sampled_from(FORWARDS))
@example(b"link", filled(b"", b"<../>,", VALUE), 1, FORWARDS[0])
@example(b"link", filled(b"", b"<../>,", 252 * 6), 1, FORWARDS[1])
@example(b"location", b"..", 120, FORWARDS[1])
@example(b"set-cookie", filled(b"a=b", b";path=/", VALUE), 1, FORWARDS[0])
@example(b"refresh", filled(b"url", b" ", VALUE), 1, FORWARDS[-1])
@example(b"www-authenticate", filled(b"Bearer a", b",x", 4 * KIB), 15, FORWARDS[0])
def test_t31_no_response_head_holds_the_loop(name: bytes, value: bytes, fields: int, forward: Forward) -> None:
    raw = response_head(name, value, fields)

    def judged() -> None:
        buffer = ResponseBuffer(LIMITS)
        buffer.add(raw)
        if (head := buffer.next_head()) is not None:
            client_head(head, forward, ClientSide())

    known = KnownLines(1024 * KIB)
    known.learn(b"HTTP/1.1 200 OK", response((name, b"")))

    def by_line() -> None:
        references = UriReferences(forward, "http")
        known_answer(raw[:-4], known, lambda one, this: field_for_client(one, this, references), LIMITS.header_count)

    assert cpu_seconds(judged, MessageError) < BUDGET
    assert cpu_seconds(by_line, MessageError) < BUDGET


SERVED = snapshot_of(tool("https://t/git"))
IN_REQUESTS = atoms(
    r"/ a . .. %2e %25 \ ; ? & = key + , keep-alive, close Cookie:a=b; :",
    *(b"\xff", b"Bearer ", b"x: y\r\n", b"\r\n", b"\r", b"\0"),
)


@SOME
@given(
    repeated(IN_REQUESTS, VALUE), repeated(IN_REQUESTS, LIMITS.target_bytes), st.sampled_from([b"X: ", b"Connection: "])
)
@example(filled(b"", b"x: y\r\n", VALUE), b"/", b"X: ")
@example(filled(b"", b"\r\n", VALUE), b"", b"\r\n")
@example(b"", filled(b"/", b"%2525252e", TARGET), b"X: ")
def test_t31_no_request_head_holds_the_loop(value: bytes, target: bytes, name: bytes) -> None:
    raw = (b"GET " + target[: LIMITS.target_bytes] + b" HTTP/1.1\r\nHost: proxy\r\n" + name + value)[
        :VALUE
    ] + b"\r\n\r\n"

    def judged() -> None:
        buffer = RequestBuffer(LIMITS)
        plain_head(raw)
        buffer.add(raw)
        if (parsed := buffer.next_request()) is not None:
            judge(parsed.head, SERVED)

    assert cpu_seconds(judged, RefusedError) < BUDGET


@SOME
@given(repeated(IN_REQUESTS, VALUE), st.sampled_from([64, 100, 1460, 16 * KIB, 64 * KIB]))
@example(filled(b"X: ", b"y", VALUE), 64)
@example(filled(b"", b"a:b\r\n", VALUE), 64)
def test_t31_a_head_that_does_not_end_is_looked_at_once(value: bytes, read: int) -> None:
    """All of its reads together: 4,000 clients may send one each."""

    def requests() -> None:
        raw, buffer = b"GET / HTTP/1.1\r\n" + value, RequestBuffer(LIMITS)
        for begin in range(0, len(raw), read):
            buffer.add(raw[begin : begin + read])
            buffer.next_request()

    def responses() -> None:
        raw, buffer, reader = (
            b"HTTP/1.1 200 OK\r\n" + value,
            ResponseBuffer(LIMITS),
            ResponseReader(b"GET", read_body=True),
        )
        for begin in range(0, len(raw), read):
            buffer.add(raw[begin : begin + read])
            buffer.next_head()
            reader.feed(raw[begin : begin + read])

    assert cpu_seconds(requests, RefusedError) < BUDGET
    assert cpu_seconds(responses, MessageError) < BUDGET


@pytest.mark.parametrize("line", [b"y", b"a: b\r\n"])
def test_t31_a_hundred_heads_that_do_not_end_are_looked_at_in_one_turn(line: bytes) -> None:
    value = filled(b"X: ", line, VALUE)

    def looks() -> None:
        for _ in range(100):
            requests, responses = RequestBuffer(LIMITS), ResponseBuffer(LIMITS)
            requests.add(b"GET / HTTP/1.1\r\n" + value)
            responses.add(b"HTTP/1.1 200 OK\r\n" + value)
            requests.next_request()
            responses.next_head()

    assert cpu_seconds(looks) < BUDGET


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=50))
def test_a_head_is_as_long_as_it_may_be_however_it_is_read(reads: list[int]) -> None:
    """No read ends a buffer's patience early, and none lets more through."""
    raw = filled(b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"y", LIMITS.head_bytes - 1)
    for more, refused in ((b"", False), (b"y" * 5, True)):
        buffer, begin, refusals = RequestBuffer(LIMITS), 0, 0
        for size in [*reads, LIMITS.head_bytes, LIMITS.head_bytes]:
            piece, begin = (raw + more)[begin : begin + size], begin + size
            buffer.add(piece)
            try:
                assert buffer.next_request() is None
            except MessageError:
                refusals += 1
                break
        assert bool(refusals) is refused


INTERIM = [b"<../>,", b"</git/a>,", b"<a>", b"a", b"<"]


@settings(max_examples=20, phases=[Phase.explicit, Phase.generate])
@given(repeated(INTERIM, VALUE), st.sampled_from([10, 1000, VALUE]))
@example(filled(b"", b"a", VALUE), VALUE)
def test_t31_interim_heads_have_turns(value: bytes, size: int) -> None:
    """Two heads of one read at the most are treated in a turn: the one that fills it, and one more."""
    flood = (b"HTTP/1.1 103 Early Hints\r\nLink: " + value[:size] + b"\r\n\r\n") * (256 * KIB // size)

    async def turns() -> float:
        desk = await started()
        longest = cpu_seconds_once(lambda: desk.upstream.data_received(flood))
        for _ in range(200):
            longest = max(longest, cpu_seconds_once(desk.relay._next_heads))
        return longest

    assert min(asyncio.run(turns()) for _ in range(2)) < BUDGET


def cpu_seconds_once(work: Callable[[], object]) -> float:
    begun = time.thread_time()
    work()
    return time.thread_time() - begun
