from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.http.head import parse_request
from connectors.http.message import MessageError, RequestHead, Version
from connectors.http.plain import MAX_BLOCK, MAX_LINE, Plain, plain_head
from connectors.http.target import climbs
from connectors.objects.reasons import Reason, RefusedError
from proxy.buffers import RequestBuffer
from proxy.route import resolve
from proxy.settings import Limits
from tests.proxy.decisions import HOSTS, snapshot_of, tool

LIMITS = Limits()
SNAPSHOT = snapshot_of(tool())
BLOCK = b"Host: proxy:1\r\nX-A: b\r\n\r\n"
FORM = b"/namespaces/team/connectors/tool"

# What a request line is made of, and what comes close to it: each list begins with what is right.
METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"PATCH", b"OPTIONS", b"get", b"TRACE", b"CONNECT", b"FOO", b""]
SPACES = [b" ", b"  ", b"\t", b"", b" \r\n", b"\0"]
VERSIONS = [b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 ", b"HTTP/11", b"RTSP/1.1", b""]
ENDS = [b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\r\r\n", b" \r\n"]
PIECES = [
    *(b"/", b"//", b"/a", b"/a.b", b"/..", b"/.", b"/...", b"/a..b", b"/..;x", b"\\..\\", b"/%2e%2e", b"/%2E.", b"%"),
    *(b"/v2", b"/namespaces", b"/connectors", b"/team", b"/tool", b"/tool@ext", b"/@ext", b"/%6eamespaces", FORM),
    *(
        b"?",
        b"?a=b",
        b"?..",
        b"?/../",
        b"?a=%00",
        b"#",
        b"#x",
        b" ",
        b"\t",
        b"\0",
        b"\x7f",
        b"\xff",
        b"\xc0\xae",
        b"\n",
    ),
    *(b'"', b"<", b"[", b"]", b"^", b"`", b"{", b"|", b"}", b"*", b"http://other", b"other:1", b"a=1&b=~$'(),;:@!+"),
]
BLOCKS = [
    BLOCK,
    b"\r\n",
    b"\r\n\r\n",
    b"",
    b"Host: proxy:1\r\n",
    b"Host: proxy:1\n\nX: y\r\n\r\n",
    b"Host: proxy:1\n\r\n\r\n",
    b" X: y\r\nHost: proxy:1\r\n\r\n",
    b"Host: proxy:1\r\n X: y\r\n\r\n",
    b"Host: proxy:1\r\nHost: b\r\n\r\n",
    b"Host: proxy:1\r\nX: \0\r\n\r\n",
    b"Host: proxy:1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"Host: proxy:1\r\nContent-Length: 3\r\n\r\nabc",
    b"X: y\r\n\r\n",
]
BEHIND = [b"", b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n", b"\r\n\r\n", b"x", b"\0"]


def mostly(choices: list[bytes]) -> st.SearchStrategy[bytes]:
    """The first of them as often as all others: a line of nothing but errors shows nothing."""
    return st.one_of(st.just(choices[0]), st.sampled_from(choices))


TARGETS = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map(b"".join),
    st.lists(st.sampled_from(PIECES), max_size=3).map(lambda parts: FORM + b"".join(parts)),
    st.lists(st.sampled_from(PIECES), max_size=3).map(lambda parts: b"/v2" + FORM + b"".join(parts)),
)
BEGINNINGS = st.tuples(
    mostly([b"", b"\r\n", b"\n", b" "]), st.sampled_from(METHODS), mostly(SPACES), TARGETS, mostly(SPACES),
    mostly(VERSIONS), mostly(ENDS), mostly(BLOCKS), st.sampled_from(BEHIND),
).map(b"".join)  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A good request in which one byte was put, replaced or left out."""
    raw = b"GET " + draw(st.sampled_from([b"/a?b=c", FORM + b"/x", b"/v2" + FORM])) + b" HTTP/1.1\r\n" + BLOCK
    at = draw(st.integers(0, len(raw)))
    byte = draw(st.one_of(st.just(b""), st.binary(min_size=1, max_size=1)))
    return raw[:at] + byte + raw[at + draw(st.integers(0, 1)) :]


def next_request(data: bytes) -> tuple[RequestHead, bytes] | None:
    """What the long way finds in `data`, and what it leaves for later; None where it refuses."""
    buffer = RequestBuffer(LIMITS)
    buffer.add(data)
    try:
        request = buffer.next_request()
    except MessageError:
        return None
    assert request is not None, "it still waits for what was already cut off as a whole head"
    return request.head, buffer.take_all()


@settings(max_examples=300)
@given(st.one_of(BEGINNINGS, spoilt()))
@example(b"GET /stolen HTTP/1.1\r\n\r\n")
@example(b"DELETE /other HTTP/1.1\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: a\n\nGET /other HTTP/1.1\r\nHost: a\r\n\r\n")
def test_both_readers_see_the_same_request(data: bytes) -> None:
    plain = plain_head(data)
    if plain is None:
        return
    target = plain.path + plain.query
    line = b"%b %b HTTP/1.1\r\n" % (plain.method, target)
    assert data[: plain.end] == line + plain.block
    assert plain.block.find(b"\r\n\r\n") == len(plain.block) - 4 > 0
    # The line alone is beyond doubt: with another block it is taken, and read the same way.
    head = parse_request(line + BLOCK, header_count=LIMITS.header_count).head
    assert (head.method, head.target, head.version) == (plain.method, target, Version.HTTP_1_1)
    judged = next_request(data)
    if judged is None:
        with pytest.raises(MessageError):
            parse_request(b"GET / HTTP/1.1\r\n" + plain.block, header_count=LIMITS.header_count)
    else:
        assert (judged[0].method, judged[0].target) == (plain.method, target)
        assert judged[1] == data[plain.end :]


def client_prefix(path: bytes) -> bytes | None:
    """The part of the path that names a Connector by the rules of the long way; None where it names none."""
    try:
        # A Host that names none: so it is the path that does, or nothing.
        return resolve(RequestHead(b"GET", path, ((b"Host", b"proxy:1"),)), SNAPSHOT, HOSTS).client_prefix
    except RefusedError as error:
        if error.refusal.reason is not Reason.CONNECTOR_NOT_FOUND:
            raise
        return None


@settings(max_examples=300)
@given(st.one_of(BEGINNINGS, spoilt(), TARGETS.map(lambda target: b"GET " + target + b" HTTP/1.1\r\n" + BLOCK)))
def test_a_path_that_is_taken_climbs_nowhere_and_names_what_its_prefix_names(data: bytes) -> None:
    plain = plain_head(data)
    if plain is None:
        return
    assert not climbs(plain.path)
    assert client_prefix(plain.path) == (plain.prefix or None)
    assert plain.path.startswith(plain.prefix)


@pytest.mark.parametrize(
    ("target", "prefix", "path", "query"),
    [
        (b"/", b"", b"/", b""),
        (b"/a/b.c;x=1/~d?e=f%20g&h=?/..", b"", b"/a/b.c;x=1/~d", b"?e=f%20g&h=?/.."),
        (b"//a?", b"", b"//a", b"?"),
        (FORM, FORM, FORM, b""),
        (FORM + b"?q", FORM, FORM, b"?q"),
        (FORM + b"/x?q", FORM, FORM + b"/x", b"?q"),
        (FORM + b"@ext/", FORM + b"@ext", FORM + b"@ext/", b""),
        (b"/v2" + FORM + b"/a/manifests/1", b"/v2" + FORM, b"/v2" + FORM + b"/a/manifests/1", b""),
        (b"/namespaces/team/connectors/", b"", b"/namespaces/team/connectors/", b""),
        (b"/namespaces//connectors/tool", b"", b"/namespaces//connectors/tool", b""),
        (b"/v3" + FORM, b"", b"/v3" + FORM, b""),
        (b"/v2/v2" + FORM, b"", b"/v2/v2" + FORM, b""),
        (b"/Namespaces/team/connectors/tool", b"", b"/Namespaces/team/connectors/tool", b""),
        (b"/x?" + FORM, b"", b"/x", b"?" + FORM),
    ],
)
def test_the_parts_of_a_plain_head(target: bytes, prefix: bytes, path: bytes, query: bytes) -> None:
    for method in METHODS[:7]:
        head = b"%b %b HTTP/1.1\r\n" % (method, target) + BLOCK
        assert plain_head(head + b"GET /next") == Plain(method, prefix, path, query, BLOCK, len(head))
    assert client_prefix(path) == (prefix or None)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n" + BLOCK, id="no field"),
        pytest.param(b"\r\nGET / HTTP/1.1\r\n" + BLOCK, id="an empty line before"),
        pytest.param(b"GET  / HTTP/1.1\r\n" + BLOCK, id="two spaces"),
        pytest.param(b"GET /  HTTP/1.1\r\n" + BLOCK, id="two spaces behind"),
        pytest.param(b"GET / HTTP/1.1 \r\n" + BLOCK, id="a space at the end"),
        pytest.param(b"GET / HTTP/1.1\n" + BLOCK, id="bare LF"),
        pytest.param(b"GET / HTTP/1.0\r\n" + BLOCK, id="HTTP/1.0"),
        pytest.param(b"GET / HTTP/1.2\r\n" + BLOCK, id="HTTP/1.2"),
        pytest.param(b"GET /\r\n" + BLOCK, id="HTTP/0.9"),
        pytest.param(b"get / HTTP/1.1\r\n" + BLOCK, id="method in lower case"),
        pytest.param(b"TRACE / HTTP/1.1\r\n" + BLOCK, id="TRACE"),
        pytest.param(b"CONNECT x:1 HTTP/1.1\r\n" + BLOCK, id="CONNECT"),
        pytest.param(b"PRI * HTTP/2.0\r\n" + BLOCK, id="PRI"),
        pytest.param(b"OPTIONS * HTTP/1.1\r\n" + BLOCK, id="asterisk form"),
        pytest.param(b"GET http://other/x HTTP/1.1\r\n" + BLOCK, id="absolute form"),
        pytest.param(b"GET x HTTP/1.1\r\n" + BLOCK, id="no slash"),
        pytest.param(b"GET ?x HTTP/1.1\r\n" + BLOCK, id="no path"),
        pytest.param(b"GET  HTTP/1.1\r\n" + BLOCK, id="no target"),
        pytest.param(b"GET /a/../b HTTP/1.1\r\n" + BLOCK, id="dots"),
        pytest.param(b"GET /..;x HTTP/1.1\r\n" + BLOCK, id="dots and a parameter"),
        pytest.param(b"GET " + FORM + b".. HTTP/1.1\r\n" + BLOCK, id="dots in the prefix"),
        pytest.param(b"GET /%61 HTTP/1.1\r\n" + BLOCK, id="an escape in the path"),
        pytest.param(b"GET /%6eamespaces/team/connectors/tool HTTP/1.1\r\n" + BLOCK, id="an escape in the form"),
        pytest.param(b"GET /a\\b HTTP/1.1\r\n" + BLOCK, id="backslash"),
        pytest.param(b"GET /a#b HTTP/1.1\r\n" + BLOCK, id="fragment"),
        pytest.param(b"GET /a?b#c HTTP/1.1\r\n" + BLOCK, id="fragment behind a query"),
        pytest.param(b"GET /\xff HTTP/1.1\r\n" + BLOCK, id="no ASCII"),
        pytest.param(b"GET /a\tb HTTP/1.1\r\n" + BLOCK, id="tab"),
        pytest.param(b"GET /a\0b HTTP/1.1\r\n" + BLOCK, id="NUL"),
        pytest.param(b"GET /?a\0b HTTP/1.1\r\n" + BLOCK, id="NUL in a query"),
        pytest.param(b"GET /?a\x7fb HTTP/1.1\r\n" + BLOCK, id="DEL in a query"),
    ],
)
def test_what_is_judged_the_long_way(head: bytes) -> None:
    assert plain_head(head) is None


def test_no_beginning_of_a_head_is_one() -> None:
    head = b"GET " + FORM + b"/x?q HTTP/1.1\r\n" + BLOCK
    assert plain_head(head) is not None
    assert [cut for cut in range(len(head)) if plain_head(head[:cut])] == []


def with_line_of(size: int) -> bytes:
    start, end = b"GET /", b" HTTP/1.1\r\n"
    return start + b"a" * (size - len(start) - len(end)) + end + BLOCK


def with_block_of(size: int) -> bytes:
    start, end = b"Host: a\r\nX: ", b"\r\n\r\n"
    return b"GET / HTTP/1.1\r\n" + start + b"x" * (size - len(start) - len(end)) + end


@pytest.mark.parametrize(("made", "longest"), [(with_line_of, MAX_LINE), (with_block_of, MAX_BLOCK)])
@pytest.mark.parametrize("behind", BEHIND)
def test_how_long_a_line_and_a_block_may_be(made: object, longest: int, behind: bytes) -> None:
    assert callable(made)
    assert plain_head(made(longest) + behind) is not None
    assert plain_head(made(longest + 1) + behind) is None


def test_t27_a_plain_head_does_not_show_itself() -> None:
    head = b"GET /canary-a?canary-b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer canary-c\r\n\r\n"
    plain = plain_head(head)
    assert plain is not None
    assert {repr(plain), str(plain), f"{plain}", format(plain), f"{plain!a}"} == {"Plain(GET)"}
