from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy import scrub
from proxy.decision import Forward
from proxy.locations import UriReferences
from tests.proxy.decisions import forward_of, request, tool

NAME = b"/namespaces/team/connectors/tool"
GIT = "https://tool.example/git"


def rewrite_cookie(value: bytes, forward: Forward, scheme: str) -> bytes:
    """Of a head that has no other address."""
    return scrub.rewrite_cookie(value, UriReferences(forward, scheme))


def by_host(address: str = GIT) -> Forward:
    return forward_of(request(b"/x"), tool(address))


def by_path(rest: bytes = b"/x/y", address: str = GIT) -> Forward:
    return forward_of(request(NAME + rest, host=b"proxy"), tool(address))


@pytest.mark.parametrize(
    ("forward", "value", "expected"),
    [
        pytest.param(by_host(), b"a=b", b"a=b", id="plain"),
        pytest.param(by_host(), b"a=b; HttpOnly; SameSite=Lax", b"a=b; HttpOnly; SameSite=Lax", id="others stay"),
        pytest.param(by_host(), b"a=b; Domain=tool.example; HttpOnly", b"a=b; HttpOnly", id="own domain"),
        pytest.param(by_host(), b"a=b;domain = .Tool.Example", b"a=b", id="own domain with a dot"),
        pytest.param(by_host(), b"a=b; Domain=example", b"a=b", id="parent domain"),
        pytest.param(by_host("https://tool.example./git"), b"a=b; Domain=tool.example", b"a=b", id="dotted address"),
        pytest.param(by_host(), b"a=b; Domain=; DOMAIN", b"a=b", id="empty domain"),
        pytest.param(by_host(), b"a=b; Path=/git/x; Secure", b"a=b; Path=/x", id="path by host"),
        pytest.param(by_host(), b"a=b; Path=/git", b"a=b; Path=/", id="whole prefix"),
        pytest.param(by_host(), b"a=b; path=/", b"a=b; path=/", id="above the prefix"),
        pytest.param(by_path(), b"a=b; Path=/git/x", b"a=b; Path=" + NAME + b"/x", id="path by path"),
        pytest.param(by_path(), b"a=b; Path=/", b"a=b; Path=" + NAME, id="all of the connector"),
        pytest.param(by_path(), b"a=b; Path=/other", b"a=b; Path=" + NAME, id="outside of the prefix"),
        pytest.param(by_path(), b"a=b; Path=/git/../..", b"a=b; Path=" + NAME, id="climbing"),
        pytest.param(by_path(), b"a=b; Path=x", b"a=b; Path=x", id="not a path"),
        pytest.param(by_path(), b"a=/git; Path", b"a=/git; Path", id="no value"),
        pytest.param(by_host("http://tool.example"), b"a=b; Secure", b"a=b; Secure", id="tool without TLS"),
    ],
)
def test_attributes(forward: Forward, value: bytes, expected: bytes) -> None:
    assert rewrite_cookie(value, forward, "http") == expected


@pytest.mark.parametrize(
    "domain", [b"evil.example", b"team.localhost", b".localhost", b"team.svc.cluster.local", b"proxy"]
)
def test_t13_no_cookie_reaches_above_its_host(domain: bytes) -> None:
    # c-tool.team.localhost and c-other.team.localhost are two Connectors below one parent.
    for forward in (by_host(), by_path()):
        assert rewrite_cookie(b"a=b; Domain=" + domain + b"; HttpOnly", forward, "http") == b"a=b; HttpOnly"


def test_secure_stays_for_a_client_that_came_over_https() -> None:
    assert rewrite_cookie(b"a=b; Secure", by_host(), "https") == b"a=b; Secure"


@pytest.mark.parametrize("rest", [b"", b"?q", b"/"])
@pytest.mark.parametrize("address", ["https://tool.example", "https://tool.example/", GIT])
@pytest.mark.parametrize("value", [b"a=b", b"a=b; Path=x", b"a=b; Path=/y; Path="])
def test_t13_a_cookie_without_path_stays_with_its_connector(value: bytes, address: str, rest: bytes) -> None:
    # The directory of .../connectors/tool is .../connectors: without a Path every Connector would get it.
    assert rewrite_cookie(value, by_path(rest, address), "http").endswith(b"; Path=" + NAME)


@given(
    st.one_of(st.binary(max_size=60), st.text("a=;Path/git.Domaintool.example Secure", max_size=60).map(str.encode)),
    st.sampled_from([by_host(), by_path(), by_path(b"")]),
)
def test_any_cookie_is_taken(value: bytes, forward: Forward) -> None:
    rewritten = rewrite_cookie(value, forward, "http")
    assert rewritten.split(b";")[0] == value.split(b";")[0]
    assert all(part.partition(b"=")[0].strip().lower() != b"domain" for part in rewritten.split(b";")[1:])
    if b"proxy" in forward.authority:
        for attribute in rewritten.split(b";")[1:]:
            name, _, path = attribute.partition(b"=")
            assert name.strip().lower() != b"path" or not path.strip().startswith(b"/") or path.startswith(NAME)
