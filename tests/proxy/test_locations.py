from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import MessageError
from proxy.decision import Forward, Mount
from proxy.locations import MAX_GROWTH, MAX_REFERENCES, UriReferences, map_path
from tests.proxy.decisions import forward_of, request, tool

NAME = b"/namespaces/team/connectors/tool"
HOST = b"c-tool.team.localhost:8080"
GIT = "https://tool.example/git"


def rewrite_location(value: bytes, forward: Forward, scheme: str) -> bytes:
    """Of a head that has no other reference."""
    return UriReferences(forward, scheme).location(value)


def by_host(address: str = "https://tool.example") -> Forward:
    return forward_of(request(host=HOST), tool(address))


def by_path(address: str = "https://tool.example", host: bytes | None = b"proxy:1") -> Forward:
    return forward_of(request(NAME, host=host), tool(address))


OWN = [
    (by_host(), b"https://tool.example/a?b#c", b"http://c-tool.team.localhost:8080/a?b#c"),
    (by_host(), b"HTTPS://Tool.EXAMPLE:443/a", b"http://c-tool.team.localhost:8080/a"),
    (by_host(), b"https://tool.example./a", b"http://c-tool.team.localhost:8080/a"),
    (by_host(), b"https://tool.example", b"http://c-tool.team.localhost:8080/"),
    (by_host(), b"https://tool.example?x", b"http://c-tool.team.localhost:8080/?x"),
    (by_host(), b"//tool.example/a", b"http://c-tool.team.localhost:8080/a"),
    (by_host(), b"/a?b", b"/a?b"),
    (by_host(), b"a/b", b"a/b"),
    (by_host(), b"?x", b"?x"),
    (by_host(), b"", b""),
    (by_host(), b"/a/../../b", b"/a/../../b"),
    (by_host(GIT), b"/git/a", b"/a"),
    (by_host(GIT), b"/git", b"/"),
    (by_host(GIT), b"/git?x", b"/?x"),
    (by_host(GIT), b"https://tool.example/git#f", b"http://c-tool.team.localhost:8080/#f"),
    (by_path(), b"/a%2Fb", NAME + b"/a%2Fb"),
    (by_path(), b"https://tool.example/a", b"http://proxy:1" + NAME + b"/a"),
    (by_path(GIT), b"https://tool.example/git/a", b"http://proxy:1" + NAME + b"/a"),
    (by_path(GIT), b"/git/a/../b", NAME + b"/b"),
    (by_path(GIT), b"/x/%2e./git/b", NAME + b"/b"),
    (by_path(GIT), b" /git/a\t", NAME + b"/a"),
    (by_path(GIT), b"/git/.\t./x", b"https://tool.example/git/../x"),
    (by_path(GIT), b" //[/..", b"https://[/.."),
    (by_path(GIT, None), b"https://tool.example/git/a", NAME + b"/a"),
    (by_host("http://[::1]:8080"), b"http://[::1]:8080/a", b"http://c-tool.team.localhost:8080/a"),
]


@pytest.mark.parametrize(("forward", "value", "expected"), OWN, ids=[value.decode() for _, value, _ in OWN])
def test_the_tools_own_places(forward: Forward, value: bytes, expected: bytes) -> None:
    assert rewrite_location(value, forward, "http") == expected


FOREIGN = [
    b"https://evil.example/a",
    b"http://tool.example/a",
    b"https://tool.example:8443/a",
    b"https://tool.example.evil.com/a",
    b"https://tool.example@evil.com/a",
    b"https://user@tool.example/a",
    b"https://eviltool.example/a",
    b"https://tool.example\\@evil.com/a",
    b"https://tool.example:443:443/a",
    b"https://tool.example:x/a",
    b"https://[tool.example]:443:1/a",
    b"https:///a",
    b"ftp://tool.example/a",
    b"mailto:a@tool.example",
    b"javascript:x",
]


@pytest.mark.parametrize("value", FOREIGN, ids=[value.decode() for value in FOREIGN])
def test_t01_other_origins_are_left_alone(value: bytes) -> None:
    for forward in (by_host(), by_path(), by_host(GIT)):
        assert rewrite_location(value, forward, "http") == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"/other", b"https://tool.example/other"),
        (b"/gitx/a", b"https://tool.example/gitx/a"),
        (b"/", b"https://tool.example/"),
        (b"https://tool.example/other", b"https://tool.example/other"),
        (b"//tool.example/other", b"https://tool.example/other"),
        (b"//evil.example/git/a", b"https://evil.example/git/a"),
        (b"/git/../other", b"https://tool.example/git/../other"),
        (b"/git/%2e%2E/other", b"https://tool.example/git/%2e%2E/other"),
        (b"/git/a/..\\..\\..\\x", b"https://tool.example/git/a/..\\..\\..\\x"),
        (b"https://tool.example/git/../other", b"https://tool.example/git/../other"),
    ],
)
def test_t29_what_lies_outside_of_the_prefix_is_the_tools(value: bytes, expected: bytes) -> None:
    for forward in (by_host(GIT), by_path(GIT)):
        assert rewrite_location(value, forward, "http") == expected


def test_t04_a_location_cannot_climb_to_another_connector() -> None:
    value = b"/git/../other/x"
    seen = urljoin("http://proxy:1" + NAME.decode() + "/y", rewrite_location(value, by_path(GIT), "http").decode())
    assert "/namespaces/" not in seen


@pytest.mark.parametrize("value", [b"/git//evil.example/x", b"/git/\\evil.example/x", b"/git/\t/evil.example/x"])
def test_t01_a_path_does_not_become_a_host(value: bytes) -> None:
    rewritten = rewrite_location(value, by_host(GIT), "http")
    assert rewritten == b"http://" + HOST + value.removeprefix(b"/git").replace(b"\t", b"")


REGISTRY = (Mount(b"/v2" + NAME, b"/hub/v2"), Mount(NAME, b"/hub"))


@pytest.mark.parametrize(
    ("path", "mapped"),
    [
        (b"/hub/v2/library/x/blobs/uploads/1?s=2", b"/v2" + NAME + b"/library/x/blobs/uploads/1?s=2"),
        (b"/hub/token", NAME + b"/token"),
        (b"/hub/v2x", NAME + b"/v2x"),
        (b"/hub", NAME),
        (b"/v2/library", None),
        (b"/hubx", None),
        (b"", None),
    ],
)
def test_registry_mounts(path: bytes, mapped: bytes | None) -> None:
    assert map_path(path, REGISTRY) == mapped


VALUE = st.one_of(
    st.binary(max_size=60),
    st.text("ht:/\\tool.example@git?#%2e\t", max_size=40).map(str.encode),
    st.lists(
        st.sampled_from(
            [b"https:", b"//", b"/", b"tool.example", b"evil", b"git", b"..", b"%2e", b"\\", b"?", b"@", b":"]
        )
    ).map(b"".join),
)
FORWARDS = [by_host(), by_host(GIT), by_path(), by_path(GIT), by_path(GIT, None)]


@given(VALUE, st.sampled_from(FORWARDS))
def test_t01_any_value_is_taken_and_leads_nowhere_new(value: bytes, forward: Forward) -> None:
    rewritten = rewrite_location(value, forward, "http")
    if rewritten == value:
        return
    if not rewritten.startswith(b"/"):
        value = value.replace(b"\t", b"").strip()
        before, after = _host(b"https:" + value if value.startswith(b"//") else value), _host(rewritten)
        assert after in {before, forward.authority.lower(), b"tool.example"}
    else:
        assert not rewritten.startswith((b"//", b"/\\", b"/\t"))
        resolved = urljoin("http://proxy/", rewritten.decode("latin-1").replace("%2e", ".").replace("\\", "/"))
        assert urlsplit(resolved).path.encode("latin-1").startswith(forward.mounts[-1].client)


def _host(url: bytes) -> bytes:
    return url.partition(b"//")[2].partition(b"/")[0].partition(b"?")[0].partition(b"#")[0].lower()


SEGMENT = st.one_of(
    st.text("abz019-_~:@!$&'()*+,;=", min_size=1, max_size=6).map(str.encode),
    st.sampled_from([b"a.b", b"%41", b"%20", b"...", b".a", b""]),
)
QUERY = st.sampled_from([b"", b"?", b"?a=b", b"?next=/git/x%2Fy&url=https://tool.example/"])


@given(
    st.sampled_from(["", "/git", "/git/deep"]),
    st.sampled_from([(b"", HOST), (NAME, b"proxy:1")]),
    st.lists(SEGMENT, max_size=5),
    QUERY,
)
def test_t01_who_follows_a_location_asks_the_tool_for_what_it_named(
    prefix: str, form: tuple[bytes, bytes], segments: list[bytes], query: bytes
) -> None:
    """Out and back is the identity: in both forms of address, below any path prefix, as a URL and as a path."""
    root, host = form
    there = tool("https://tool.example" + prefix)
    named = prefix.encode() + b"/" + b"/".join(segments) + query
    asking = forward_of(request(root + b"/", host=host), there)
    forms = [b"https://tool.example" + named]
    # What begins with two slashes names a host (RFC 3986 section 4.2), and no path.
    forms += [] if named.startswith(b"//") else [named]
    for location in forms:
        shown = rewrite_location(location, asking, "http")
        target = shown.removeprefix(b"http://" + host)
        assert target.startswith(root + b"/"), shown
        assert forward_of(request(target, host=host), there).request_target == named


def path_form(rest: bytes, address: str = GIT) -> Forward:
    return forward_of(request(NAME + rest, host=b"proxy:1"), tool(address))


RELATIVE = [
    (path_form(b"/a/b"), b"foo", b"foo"),
    (path_form(b"/a/b"), b"./foo", b"./foo"),
    (path_form(b"/a/b"), b"../foo", NAME + b"/foo"),
    (path_form(b"/a/b"), b"../../foo", b"https://tool.example/foo"),
    (path_form(b"/a/b"), b"..\\foo", NAME + b"/foo"),
    (path_form(b"/a/b"), b"c/../..", NAME + b"/"),
    (path_form(b"/a//b"), b"..", NAME + b"/a/"),
    (path_form(b"/a/b"), b" ..//[/x", NAME + b"//[/x"),
    (path_form(b"/a/b"), b"%2e%2E/../x?y#z", b"https://tool.example/x?y#z"),
    (path_form(b""), b"foo", b"https://tool.example/foo"),
    (path_form(b""), b"git/foo", NAME + b"/foo"),
    (path_form(b""), b"../../../foo", b"https://tool.example/foo"),
    (path_form(b"", "https://tool.example"), b"foo", NAME + b"/foo"),
    (path_form(b"", "https://tool.example"), b"?x", b"?x"),
    (path_form(b"/a/b"), b"mailto:x", b"mailto:x"),
    (path_form(b"/a/b"), b"", b""),
    (by_host(), b"../x", b"../x"),
]


@pytest.mark.parametrize(
    ("forward", "value", "expected"),
    RELATIVE,
    ids=[f"{forward.request_target.decode()} {value.decode()}" for forward, value, _ in RELATIVE],
)
def test_t04_a_relative_reference_stays_with_its_connector(forward: Forward, value: bytes, expected: bytes) -> None:
    assert rewrite_location(value, forward, "http") == expected


# -- a whole head's


SEGMENTS = st.lists(
    st.sampled_from([b"..", b".", b"a", b"%2e", b"b%2E", b"", b".%2e", b"\\", b"c\\.."]), max_size=6
).map(b"/".join)


def dots_taken_out(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4, segment by segment, `%2e` a dot and `\\` a slash; as it is where there is none."""
    segments = path.replace(b"\\", b"/").split(b"/")[1:]
    plain = [segment.lower().replace(b"%2e", b".") for segment in segments]
    if not {b".", b".."} & set(plain):
        return path
    kept: list[bytes] = []
    for segment, dots in zip(segments, plain, strict=True):
        if dots == b"..":
            del kept[-1:]
        elif dots != b".":
            kept.append(segment)
    return b"/" + b"/".join(kept + [b""] * (plain[-1] in (b".", b"..")))


@given(
    SEGMENTS,
    SEGMENTS.map(lambda value: value.replace(b"..", b"d").replace(b".%2e", b"d")),
    st.sampled_from([b"", b"?x/..", b"#/../"]),
)
def test_a_relative_reference_is_resolved_against_the_directory(value: bytes, below: bytes, tail: bytes) -> None:
    reference = b"../" + value.lstrip(b"/\\") + tail
    forward = by_path(GIT)._replace(request_target=b"/git/x/" + below + b"/last?q=/")
    path = dots_taken_out(b"/git/x/" + below + b"/../" + value.lstrip(b"/\\"))
    mapped = map_path(path, forward.mounts)
    expected = b"https://tool.example" + path + tail if mapped is None else mapped + tail
    assert rewrite_location(reference, forward, "http") == expected


def test_t31_a_head_has_a_limited_number_of_references() -> None:
    references = UriReferences(by_host(), "http")
    references.count(MAX_REFERENCES)
    with pytest.raises(MessageError, match=f"more than {MAX_REFERENCES} addresses"):
        references.count(1)


def test_t31_a_head_grows_by_no_more_than_another_one() -> None:
    forward = by_path(GIT)._replace(request_target=b"/git/" + b"d" * 15_000 + b"/e/f")
    references = UriReferences(forward, "http")
    with pytest.raises(MessageError, match=f"more than {MAX_GROWTH} bytes"):
        for _ in range(5):
            references.location(b"..")
