from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.expressions.text_functions import parse_url, query_escape

PARTS = ("scheme", "userinfo", "host", "hostname", "path", "query", "fragment", "opaque")


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://tool.example.com", ("https", "", "tool.example.com", "tool.example.com", "", "", "", "")),
        ("HTTP://u:p@h:80/a/b?c=d&e#f", ("http", "u:p", "h:80", "h", "/a/b", "c=d&e", "f", "")),
        ("https://[2001:db8::1]:8443/", ("https", "", "[2001:db8::1]:8443", "2001:db8::1", "/", "", "", "")),
        ("https://h/a%2Fb%20c/", ("https", "", "h", "h", "/a%2Fb%20c/", "", "", "")),
        ("/a/b", ("", "", "", "", "/a/b", "", "", "")),
        ("a/b", ("", "", "", "", "a/b", "", "", "")),
        ("mailto:a@b?c", ("mailto", "", "", "", "", "c", "", "a@b")),
        ("file:///a", ("file", "", "", "", "/a", "", "", "")),
        ("", ("", "", "", "", "", "", "", "")),
        ("http://a@b@c/", ("http", "a@b", "c", "c", "/", "", "", "")),
    ],
)
def test_parts(url: str, parts: tuple[str, ...]) -> None:
    found = parse_url(url.encode())
    assert tuple(found.entries[part.encode()] for part in PARTS) == tuple(part.encode() for part in parts)
    assert len(found.entries) == len(PARTS)


@pytest.mark.parametrize("url", [b"http://a\nb", b"http://h:port/", b"http://[::1/", b"\0", b"http://a:1:2/"])
def test_what_is_no_url(url: bytes) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        parse_url(url)


@pytest.mark.parametrize(("text", "escaped"), [(b"a b&c=d/\xff~-_.*+", b"a+b%26c%3Dd%2F%FF~-_.%2A%2B"), (b"", b"")])
def test_escaped_for_a_query(text: bytes, escaped: bytes) -> None:
    assert query_escape(text) == escaped


@given(st.binary(max_size=60))
def test_any_bytes_are_a_url_or_refused(text: bytes) -> None:
    try:
        parse_url(text)
    except ValueError as error:
        assert str(error) == "this is not a URL"  # noqa: PT017 - that it is this one alone
