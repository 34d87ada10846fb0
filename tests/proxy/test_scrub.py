from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.http.message import Headers
from proxy.scrub import ClientSide, client_head, response_trailers
from tests.proxy.decisions import forward_of, keyed, request, response, tool

FORWARD = forward_of(request(host=b"c-tool.team"), tool("https://tool.example/git"))
BY_PATH = forward_of(request(b"/namespaces/team/connectors/tool/x", host=b"proxy:1"), tool("https://tool.example/git"))
KEYED = keyed(b"long-s3cret")


def scrubbed(*headers: tuple[bytes, bytes]) -> Headers:
    return client_head(response(*headers), FORWARD, ClientSide()).headers


def test_all_else_keeps_order_case_repetition_and_bytes() -> None:
    headers = (
        (b"x-B", b"\xff\x80"),
        (b"X-a", b"1"),
        (b"x-a", b"2"),
        (b"Empty", b""),
        (b"Content-Encoding", b"gzip"),
        (b"Content-Length", b"5"),
        (b"ETag", b'"/git/x"'),
        (b"Date", b"x"),
        (b"Server", b"y"),
    )
    head = client_head(response(*headers, status=299), FORWARD, ClientSide())
    assert (head.status, head.reason, head.headers) == (299, b"OK", headers)


def test_t12_content_coding_and_length_stay_together() -> None:
    headers = ((b"Content-Encoding", b"gzip"), (b"Content-Length", b"20"), (b"Vary", b"Accept-Encoding"))
    assert scrubbed(*headers) == headers


@pytest.mark.parametrize(
    "dropped",
    [
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Upgrade", b"h2c"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"X-Connectors-Reason", b"Forbidden"),
        (b"x_connectors_REASON", b"Forbidden"),
        (b"WWW-Authenticate", b'Bearer realm="https://evil"'),
        (b"www_authenticate", b'Bearer realm="https://evil"'),
    ],
    ids=lambda field: field[0].decode(),
)
def test_what_is_not_passed_on(dropped: tuple[bytes, bytes]) -> None:
    assert scrubbed((b"A", b"1"), dropped, (b"B", b"2")) == ((b"A", b"1"), (b"B", b"2"))


def test_t03_nominated_fields_go_but_not_the_framing() -> None:
    length = (b"Content-Length", b"5")
    assert scrubbed((b"Connection", b"X-Hop, Content-Length"), (b"X-Hop", b"1"), length) == (length,)


@pytest.mark.parametrize("status", [100, 103, 199, 204, 304])
def test_t11_what_has_no_body_does_not_promise_one(status: int) -> None:
    length = (b"Content-Length", b"5")
    headers = ((b"Transfer_Encoding", b"chunked"), (b"A", b"1"), (b"transfer-encoding", b"chunked"), (b"Trailer", b"X"))
    head = client_head(response(*headers, length, status=status), FORWARD, ClientSide())
    assert head.headers == ((b"A", b"1"), *((length,) if status >= 200 else ()))


def test_t05_each_challenge_field_is_judged_alone() -> None:
    assert scrubbed((b"WWW-Authenticate", b"Bearer realm=x"), (b"WWW-Authenticate", b"Basic realm=y")) == (
        (b"WWW-Authenticate", b"Basic realm=y"),
    )


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"Location", b"https://tool.example/git/a", b"http://c-tool.team/a"),
        (b"content-location", b"/git/a", b"/a"),
        (b"Location", b"https://evil.example/git/a", b"https://evil.example/git/a"),
        (b"Set-Cookie", b"a=b; Path=/git; Domain=tool.example; Secure", b"a=b; Path=/"),
        (
            b"Link",
            b'</git/a?p=2>; rel="next", <https://tool.example/git/z>; rel="last", <https://e.example/>',
            b'</a?p=2>; rel="next", <http://c-tool.team/z>; rel="last", <https://e.example/>',
        ),
        (b"Link", b"<<>>; <", b"<<>>; <"),
        (b"Refresh", b"0; url=/git/a", b"0; url=/git/a"),
    ],
)
def test_t01_places(name: bytes, value: bytes, expected: bytes) -> None:
    assert scrubbed((name, value)) == ((name, expected),)


@pytest.mark.parametrize("name", [b"Location", b"content_location", b"Link", b"Refresh"])
def test_t06_fields_with_addresses_do_not_show_the_credential(name: bytes) -> None:
    wrap = {b"Link": b"<%s>; rel=x", b"Refresh": b"0; url=%s"}.get(name, b"%s")
    headers = ((name, wrap % b"/x?a=1&key=long-s3cret#f"), (b"X", b"1"))
    assert client_head(response(*headers), KEYED, ClientSide()).headers == ((name, wrap % b"/x?a=1#f"), (b"X", b"1"))
    assert client_head(response((name, b"</long-s3cret>; url=")), KEYED, ClientSide()).headers == ()


def test_the_clients_own_scheme_is_used() -> None:
    head = client_head(response((b"Location", b"https://tool.example/git/a")), FORWARD, ClientSide("https"))
    assert head.headers == ((b"Location", b"https://c-tool.team/a"),)


NAMES = st.sampled_from(
    [b"Location", b"Content-Location", b"Link", b"Refresh", b"Set-Cookie", b"WWW-Authenticate", b"X"]
)
PIECES = st.sampled_from(
    [
        b"//",
        b"/",
        b"[",
        b"]",
        b"..",
        b"\t",
        b" ",
        b"<",
        b">",
        b"?",
        b"#",
        b";",
        b"=",
        b"%2e",
        b"\\",
        b":",
        b"https:",
        b"@",
        b'"',
    ]
)
ANYTHING = st.one_of(st.binary(max_size=60), st.lists(PIECES, max_size=20).map(b"".join))


@given(st.lists(st.tuples(NAMES, ANYTHING), max_size=4))
@example([(b"Link", b"< //[/..>; rel=x")])
def test_any_answer_is_taken(headers: list[tuple[bytes, bytes]]) -> None:
    for forward in (FORWARD, BY_PATH, KEYED):
        left = client_head(response(*headers), forward, ClientSide()).headers
        assert [name for name, _ in left if name == b"X"] == [name for name, _ in headers if name == b"X"]


def test_trailers() -> None:
    kept = ((b"X-Checksum", b"1"), (b"grpc-status", b"0"))
    dropped: Headers = tuple(
        (name, b"x")
        for name in (b"Set_Cookie", b"Location", b"Content-Length", b"X-Connectors-Reason", b"WWW-Authenticate", b"TE")
    )
    assert response_trailers(kept[:1] + dropped + kept[1:]) == kept
