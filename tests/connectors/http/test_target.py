from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.http.message import Headers, MessageError, RequestHead
from connectors.http.target import RequestTarget, climbs, request_target


def target_of(target: bytes, *hosts: bytes) -> RequestTarget:
    headers: Headers = tuple((b"Host", host) for host in hosts)
    return request_target(RequestHead(b"GET", target, headers))


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/?", b"/", b"?"),
        (b"/a?b?c", b"/a", b"?b?c"),
        (b"//x//", b"//x//", b""),
        (b"/a;b+c,%2F%2f", b"/a;b+c,%2F%2f", b""),
        (b"/%zz%", b"/%zz%", b""),
        (b"/a?..", b"/a", b"?.."),
        (b"/a?/../b", b"/a", b"?/../b"),
        (b"http://h/a?b", b"/a", b"?b"),
        (b"HTTP://H", b"/", b""),
        (b"http://h?b", b"/", b"?b"),
        (b"http://h//x", b"//x", b""),
    ],
)
def test_nothing_is_changed(target: bytes, path: bytes, query: bytes) -> None:
    assert target_of(target, b"h") == RequestTarget(b"h", path, query)


@pytest.mark.parametrize("host", [b"h", b"H.example:80", b"h:", b"127.0.0.1:8080", b"[::1]:8080", b"a_b.c", b"h."])
def test_hosts(host: bytes) -> None:
    assert target_of(b"/", host).authority == host


def test_no_host_at_all() -> None:
    assert target_of(b"/x") == RequestTarget(b"", b"/x", b"")


@pytest.mark.parametrize(
    "host",
    [
        b"user@h",
        b"a b",
        b"h/x",
        b"h?x",
        b"h#x",
        b"h:80:80",
        b"h:x",
        b"[::1",
        b"::1",
        b"h\\x",
        b"h,i",
        b"\xe4",
        b"h:123456",
    ],
)
def test_t02_a_host_that_readers_take_apart_differently(host: bytes) -> None:
    with pytest.raises(MessageError):
        target_of(b"/", host)


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (b"http://other/x", b"h"),
        (b"http://h:8080/x", b"h"),
        (b"http://h/x", b"h:80"),
        (b"http://user@h/x", b"h"),
        (b"http:///x", b""),
        (b"https://h/x", b"h"),
        (b"ftp://h/x", b"h"),
        (b"h:443", b"h:443"),
        (b"*", b"h"),
        (b"http://h\\@evil/x", b"h"),
    ],
)
def test_t02_absolute_form_must_agree_with_host(target: bytes, host: bytes) -> None:
    with pytest.raises(MessageError):
        target_of(target, host)


@pytest.mark.parametrize("target", [b"/a#b", b"/a?b#c", b"http://h/a#b", b"/#"])
def test_fragments_are_refused(target: bytes) -> None:
    with pytest.raises(MessageError):
        target_of(target, b"h")


@pytest.mark.parametrize(
    "path",
    [
        b"/..",
        b"/../x",
        b"/a/..",
        b"/a/../b",
        b"/%2e%2e/x",
        b"/%2E./x",
        b"/.%2e",
        b"/%252e%252e/x",
        b"/%25252e%25252e/x",
        b"/%2525252525252e/x",
        b"/a%2f..%2fb",
        b"/a%2F%2E%2E%2Fb",
        b"/..\\x",
        b"/a\\..\\b",
        b"/a%5c..%5cb",
        b"/a%5C%2e%2e",
        b"/..;/x",
        b"/..;a=b/x",
        b"/%2e%2e%3b/x",
        b"/..%3fx",
        b"/..%23x",
        b"/..%00/x",
        b"//..//x",
        b"/a/%2e%2e%252fb",
        b"/%c0%ae%c0%ae/x",
        b"/%C0%AE./x",
        b"/%e0%80%ae%e0%80%ae/x",
        b"/%ef%bc%8e%ef%bc%8e/x",
        "/\uff0e\uff0e/x".encode(),
        b"/%25c0%25ae%25c0%25ae/x",
        b"/a/..%c0%afx",
        b"/a%c1%9c..%c1%9cx",
        b"/a/..%ef%bc%8fx",
        b"/..%20/x",
        b"/..%09",
        b"/..%20%20;x/y",
        b"/%u002e%u002e/x",
        b"/%U002E./x",
        b"/a%u002f..%u005cb",
        b"/%25u002e%25u002e/x",
        b"/%uff0e%uff0e/x",
        b"/..%u00a0/x",
        b"/..%c2%a0/x",
        b"/..%C2%A0",
        "/..\u00a0/x".encode(),
        b"/..%a0/x",
        b"/..%0a/x",
        b"/..%0d%0a",
        b"/..%01/x",
        b"/..%1f;y/x",
        b"/..%7f/x",
        b"/..%c2%85/x",
        b"/..%e2%80%8b/x",
        b"/..%e3%80%80%20/x",
        b"/%0a../x",
        b"/%20../x",
        b"/a/%20%09../x",
        b"/%2520..%2520/x",
        b"/%20%2e%2e",
        b"/%20..%20;y/x",
        b"/a%2f%20../x",
        b"/%ef%bb%bf../x",
        b"/.%0a./x",
        b"/%2e%09%2e/x",
        b"/.%00./x",
    ],
)
def test_t04_paths_that_climb(path: bytes) -> None:
    assert climbs(path)
    with pytest.raises(MessageError):
        target_of(path, b"h")


@pytest.mark.parametrize(
    "path",
    [
        b"/",
        b"/a..b/..c/d../...",
        b"/@scope%2fname",
        b"/api/v4/projects/group%2Fproject",
        b"/%252F",
        b"/a%2e%2eb",
        b"/.../x",
        b"/./x",
        b"/.git",
        b"/v1..v2",
        b"/%zz..%zz",
        b"/..a;..",
        b"/50%25",
        b"/%c0%ae/x",
        b"/a%ef%bc%8e%ef%bc%8e",
        b"/..%20a",
        b"/%20a../x",
        b"/.%20./x",
        b"/a%20../x",
        b"/%20/x",
        b"/%2525",
        b"/%u002e/x",
        b"/a%u002e%u002e",
        b"/%u00zz../x",
        b"/%u002",
        b"/%ud800../x",
        b"/.../%0a",
        b"/a%0a../x",
        b"/..%c3%a9/x",
        "/\u767e../x".encode(),
        "/..\u00e9".encode(),
    ],
)
def test_t04_paths_that_do_not(path: bytes) -> None:
    assert not climbs(path)
    assert target_of(path, b"h").path == path


ODD = {
    b"\xc0\xae": b".",
    b"\xe0\x80\xae": b".",
    b"\xef\xbc\x8e": b".",
    b"\xc0\xaf": b"/",
    b"\xc1\x9c": b"\\",
    b"\xe0\x80\xaf": b"/",
    b"\xef\xbc\x8f": b"/",
    b"\xef\xbc\xbc": b"\\",
}


UNSEEN = [b"\t", b"\0", b"\n", b"\x7f", b"\xc2\xa0", b"\xe2\x80\x8b"]


def naive(path: bytes) -> bool:
    """Every reading there is, one after the other."""
    for _ in range(4):
        plain = path
        for odd, ascii_byte in ODD.items():
            plain = plain.replace(odd, ascii_byte)
        for part in re.split(rb"[/\\]", plain):
            seen = re.split(rb"[;?#]", part)[0]
            for unseen in UNSEEN:
                seen = seen.replace(unseen, b"")
            if b".." in (seen.strip(b" \t"), re.split(rb"[;?#\0]", part)[0].strip(b" \t")):
                return True
        path = decoded(path)
    return decoded(path) != path


def decoded(path: bytes) -> bytes:
    return unquote_to_bytes(re.sub(rb"%u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)).encode(), path))


PIECES = st.lists(
    st.sampled_from(
        [
            b"/",
            b".",
            b"..",
            b"%2e",
            b"%2F",
            b"%5c",
            b"\\",
            b"%25",
            b"2e",
            b"a",
            b";",
            b"%",
            b"%3B",
            b"%00",
            b"%20",
            b"%0a",
            b"%c2%a0",
            b"%u002e",
            b"%u002f",
            b"%u00a0",
            *UNSEEN,
            *ODD,
        ]
    )
)


@given(PIECES.map(b"".join))
@example(b"%25252525252e")
@example(b".\t.")
@example(b".\x00.")
def test_climbs_agrees_with_a_naive_reading(path: bytes) -> None:
    assert climbs(path) == naive(path)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_target_and_host_is_read_or_refused(target: bytes, host: bytes) -> None:
    try:
        found = target_of(target, host)
    except MessageError:
        return
    assert found.path.startswith(b"/")
    assert target.endswith(found.path[1:] + found.query)


def test_t27_repr_shows_neither_query_nor_host() -> None:
    assert repr(target_of(b"/x?private_token=canary", b"canary")) == "RequestTarget(path=b'/x')"
