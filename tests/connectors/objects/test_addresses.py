from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.addresses import (
    Address,
    AddressError,
    Origin,
    declared_addresses,
    origin_of_url,
    parse_address,
    same_address,
    unmapped,
)
from tests.builders import connector, connector_class


@pytest.mark.parametrize(
    ("text", "address", "authority"),
    [
        ("https://github.com", Address("https", "github.com", 443, b""), b"github.com"),
        ("http://tool", Address("http", "tool", 80, b""), b"tool"),
        ("HTTPS://GitHub.COM:443/", Address("https", "github.com", 443, b"/"), b"github.com"),
        ("http://h:443/a", Address("http", "h", 443, b"/a"), b"h:443"),
        ("https://h/gitlab/", Address("https", "h", 443, b"/gitlab/"), b"h"),
        ("http://127.0.0.1:3000/git", Address("http", "127.0.0.1", 3000, b"/git"), b"127.0.0.1:3000"),
        ("http://[2001:DB8:0::1]:8080/a", Address("http", "2001:db8::1", 8080, b"/a"), b"[2001:db8::1]:8080"),
        ("https://[::1]", Address("https", "::1", 443, b""), b"[::1]"),
        ("https://bücher.example", Address("https", "xn--bcher-kva.example", 443, b""), b"xn--bcher-kva.example"),
        ("https://BÜCHER。example", Address("https", "xn--bcher-kva.example", 443, b""), b"xn--bcher-kva.example"),
        ("http://tool.internal./x", Address("http", "tool.internal.", 80, b"/x"), b"tool.internal"),
        ("http://my_tool.svc/x", Address("http", "my_tool.svc", 80, b"/x"), b"my_tool.svc"),
        ("http://h/a%2Fb//c;d=1/%E4", Address("http", "h", 80, b"/a%2Fb//c;d=1/%E4"), b"h"),
        ("http://h:080/", Address("http", "h", 80, b"/"), b"h"),
    ],
)
def test_parses(text: str, address: Address, authority: bytes) -> None:
    parsed = parse_address(text)
    assert parsed == address
    assert parsed.authority == authority


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("https://h/" + "a" * 2048, "longer than"),
        ("github.com", "absolute"),
        ("//github.com", "absolute"),
        ("ftp://github.com", "absolute"),
        ("https:/github.com", "absolute"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("https:///path", "no host"),
        ("https://u@h", "user name or password"),
        ("https://u:p@h/x", "user name or password"),
        ("https://h#", "fragment"),
        ("https://h/x#y", "fragment"),
        ("https://h/?q#y", "fragment"),
        ("https://h?", "query"),
        ("https://h/x?y=1", "query"),
        ("https://h:", "no port"),
        ("https://h:0", "1 to 65535"),
        ("https://h:65536", "1 to 65535"),
        ("https://h:+80", "1 to 65535"),
        ("https://h:٨٠", "1 to 65535"),
        ("https://h:80:80", "1 to 65535"),
        (" https://h", "white space"),
        ("https://h\n", "white space"),
        ("https://h/a b", "white space"),
        ("https://h\u00a0/", "white space"),
        ("https://h\\x", "backslash"),
        ("https://h\x00", "control"),
        ("https://h\x7f", "control"),
        ("https://h%41", "not a DNS name"),
        ("https://___", "not a DNS name"),
        ("https://a..b", "not a DNS name"),
        ("https://-a", "not a DNS name"),
        ("https://" + "a" * 64, "not a DNS name"),
        ("https://" + ".".join(["a" * 60] * 5), "not a DNS name"),
        ("https://a]b", "not a DNS name"),
        ("https://[::1", "brackets"),
        ("https://[::1]x", "brackets"),
        ("https://[127.0.0.1]", "brackets"),
        ("https://[v1.x]", "brackets"),
        ("https://[fe80::1%25eth0]", "zone"),
        ("https://127.1", "a.b.c.d"),
        ("https://0x7f.0.0.1", "a.b.c.d"),
        ("https://2130706433", "a.b.c.d"),
        ("https://010.0.0.1", "a.b.c.d"),
        ("https://１２７.1", "a.b.c.d"),
        ("https://host.5", "a.b.c.d"),
        ("https://xn--\u00fc", "internationalised"),
        ("https://h/ü", "outside ASCII"),
        ("https://h/{x}", "percent-encode"),
        ("https://h/%zz", "percent-encode"),
        ("https://h/%", "percent-encode"),
        ("https://h/./x", "segment"),
        ("https://h/a/..", "segment"),
        ("https://h/%2e%2E/x", "segment"),
        ("https://h/a%2f..", "segment"),
        ("https://h/..%5cx", "segment"),
    ],
)
def test_refuses_and_says_why(text: str, said: str) -> None:
    with pytest.raises(AddressError, match=r".+") as caught:
        parse_address(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text", ["https://user:hunter2@h", "https://hunter2@h/", "https://h/?token=hunter2", "hunter2://h"]
)
def test_t27_a_refusal_never_quotes_the_address(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=60) | st.text(alphabet="htps:/.[]%@#?aZ0-_é。", max_size=40).map(lambda text: "http://" + text))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressError:
        return
    assert parse_address(str(address)).origin == address.origin
    assert same_address(address, parse_address(str(address)))


@pytest.mark.parametrize(
    ("path", "prefix"), [("", b""), ("/", b""), ("/a", b"/a"), ("/a/", b"/a"), ("/a//", b"/a"), ("//a/b", b"//a/b")]
)
def test_prefix_goes_before_a_request_path(path: str, prefix: bytes) -> None:
    assert parse_address("http://h" + path).prefix == prefix


def test_origin_and_server_name_have_no_trailing_dot_but_the_lookup_does() -> None:
    address = parse_address("https://H.example.:8443")
    assert address.origin == Origin("https", "h.example", 8443)
    assert address.server_name == "h.example"
    assert address.host == "h.example."


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("https://h", "HTTPS://H:443/", True),
        ("https://h.", "https://h", True),
        ("https://h/a", "https://h/a/", True),
        ("https://h/a%7eb%2f", "https://h/a~b%2F", True),
        ("https://[::1]", "https://[0:0::1]:443", True),
        ("https://bücher.example", "https://xn--bcher-kva.example", True),
        ("https://h", "http://h", False),
        ("https://h", "https://h:8443", False),
        ("https://h/a", "https://h/A", False),
        ("https://h/a%2fb", "https://h/a/b", False),
        ("https://h/repo", "https://h/repository", False),
    ],
)
def test_same_address(a: str, b: str, *, same: bool) -> None:
    assert same_address(parse_address(a), parse_address(b)) is same


def test_declared_addresses_are_the_given_ones_and_the_class_defaults() -> None:
    demo = connector_class(
        addressExtensions=[
            {"name": "api", "default": "https://api.default"},
            {"name": "raw", "default": "https://raw.default"},
            {"name": "unused", "default": ""},
        ]
    )
    given_api = connector(address="https://h", addressExtensions=[{"name": "api", "value": "https://api.given"}])
    found = {name: str(address) for name, address in declared_addresses(given_api, demo).items()}
    assert found == {"": "https://h", "api": "https://api.given", "raw": "https://raw.default"}


@pytest.mark.parametrize(
    ("ip", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:0:1", "::ffff:0:1"),
        ("", ""),
    ],
)
def test_a_mapped_address_is_written_as_ipv4(ip: str, plain: str) -> None:
    assert unmapped(ip) == plain


@pytest.mark.parametrize(
    ("scheme", "authority", "origin"),
    [
        (b"http", b"tool.example", Origin("http", "tool.example", 80)),
        (b"HTTPS", b"Tool.Example.", Origin("https", "tool.example", 443)),
        (b"https", b"tool:", Origin("https", "tool", 443)),
        (b"http", b"tool:443", Origin("http", "tool", 443)),
        (b"http", b"[2001:DB8::1]:8080", Origin("http", "2001:db8::1", 8080)),
        (b"http", b"", None),
        (b"http", b"user@tool", None),
        (b"http", b"tool:80:80", None),
        (b"http", b"tool:x", None),
        (b"http", b"tool:123456", None),
        (b"http", b"[::1", None),
        (b"http", b"[user@]", None),
    ],
)
def test_the_origin_of_a_url_that_was_sent(scheme: bytes, authority: bytes, origin: Origin | None) -> None:
    assert origin_of_url(scheme, authority) == origin


@pytest.mark.parametrize(
    "text", ["http://tool", "https://tool.example.:8443", "http://[2001:DB8:0::1]/a", "HTTP://T:80"]
)
def test_it_is_that_of_the_address(text: str) -> None:
    address = parse_address(text)
    assert origin_of_url(address.scheme.encode(), address.authority) == address.origin
