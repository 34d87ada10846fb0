from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import Headers, RequestHead
from connectors.json_depth import MOST_LEVELS
from connectors.objects.connector import ConnectorKey
from proxy.callers.tokens import (
    MAX_CANDIDATES,
    MAX_TOKEN,
    Claims,
    Presented,
    audiences_of,
    claims_of,
    presented_tokens,
    without_bearer_protocol,
)
from tests.proxy.decisions import request

DECLARED = frozenset({b"private-token", b"x-key", b"x-other"})


def basic(userpass: bytes) -> bytes:
    return b"Basic " + b64encode(userpass)


def head_with(*fields: bytes) -> RequestHead:
    headers: Headers = tuple((b"Authorization", field) for field in fields)
    return request(b"/", headers)


def only(head: RequestHead) -> bytes | None:
    found = presented_tokens(head, DECLARED)
    assert len(found) <= 1
    return found[0].token if found else None


@pytest.mark.parametrize(
    ("field", "token"),
    [
        (b"Bearer abc", b"abc"),
        (b"bEARER  abc ", b"abc"),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerabc", None),
        (b"Bearer a\x80", None),
        (b"Bearer a\tb", None),
        (b"Bearer " + b"x" * MAX_TOKEN, b"x" * MAX_TOKEN),
        (b"Bearer " + b"x" * (MAX_TOKEN + 1), None),
        (basic(b"user:abc"), b"abc"),
        (basic(b":abc"), b"abc"),
        (basic(b"abc:"), b"abc"),
        (basic(b"user:a:b"), b"a:b"),
        (basic(b"user:\xff"), None),
        (basic(b"user:a\nb"), None),
        (basic(b":"), None),
        (basic(b"abc"), None),
        (basic(b""), None),
        (b"basic " + b64encode(b"u:p"), b"p"),
        (b"Basic dTp w", None),
        (b"Basic \xff\xff", None),
        (b"Basic", None),
        (b"Digest abc", None),
        (b"", None),
        (b"abc", None),
    ],
)
def test_authorization(field: bytes, token: bytes | None) -> None:
    assert only(head_with(field)) == token


def test_none_and_two_are_no_token() -> None:
    assert only(head_with()) is None
    assert only(head_with(b"Bearer a", b"Bearer a")) is None


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        pytest.param([(b"PRIVATE-TOKEN", b" abc ")], [(b"abc", b"private-token")], id="any case, no spaces"),
        pytest.param([(b"Private_Token", b"abc")], [], id="the name itself, nothing that folds to it"),
        pytest.param([(b"X-Unknown", b"abc")], [], id="no class declares it"),
        pytest.param([(b"X-Key", b"")], [], id="empty"),
        pytest.param([(b"X-Key", b"a"), (b"x-key", b"a")], [], id="twice, though the same"),
        pytest.param(
            [(b"X-Key", b"k"), (b"Authorization", b"Bearer a")],
            [(b"a", b"authorization"), (b"k", b"x-key")],
            id="Authorization first, wherever it stands",
        ),
        pytest.param(
            [(b"X-Other", b"1"), (b"X-Key", b"2")], [(b"1", b"x-other"), (b"2", b"x-key")], id="in their order"
        ),
        pytest.param(
            [(b"Authorization", b"Digest x"), (b"X-Key", b"k")], [(b"k", b"x-key")], id="beside what is no token"
        ),
    ],
)
def test_declared_headers(headers: list[tuple[bytes, bytes]], found: list[tuple[bytes, bytes]]) -> None:
    assert presented_tokens(request(b"/", tuple(headers)), DECLARED) == tuple(Presented(*item) for item in found)


BEARS = b"base64url.bearer.authorization.k8s.io."


def as_protocol(token: bytes) -> bytes:
    return BEARS + urlsafe_b64encode(token).rstrip(b"=")


@pytest.mark.parametrize(
    ("values", "token"),
    [
        ([as_protocol(b"abc")], b"abc"),
        ([b"v4.channel.k8s.io, " + as_protocol(b"a?b>c~d")], b"a?b>c~d"),
        ([b"v4.channel.k8s.io", as_protocol(b"ab") + b",x"], b"ab"),
        ([as_protocol(b"abc").replace(b"bearer", b"Bearer")], b"abc"),
        ([as_protocol(b"abc"), as_protocol(b"abc")], None),
        ([as_protocol(b"abc") + b", " + as_protocol(b"def")], None),
        ([BEARS], None),
        ([BEARS + b"!!!"], None),
        ([BEARS + b"x"], None),
        ([as_protocol(b"a\nb")], None),
        ([b"v4.channel.k8s.io"], None),
        ([b"x." + as_protocol(b"abc")], None),
        ([], None),
    ],
)
def test_a_token_among_websocket_protocols(values: list[bytes], token: bytes | None) -> None:
    head = request(b"/", tuple((b"Sec-WebSocket-Protocol", value) for value in values))
    assert only(head) == token


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (as_protocol(b"abc"), None),
        (
            b"v4.channel.k8s.io," + as_protocol(b"abc") + b" , v5.channel.k8s.io",
            b"v4.channel.k8s.io, v5.channel.k8s.io",
        ),
        (BEARS + b"!!!, x", b"x"),
        (BEARS.upper() + b"abc, x", b"x"),
        (b"a,b ,  c", b"a,b ,  c"),
        (b"", b""),
    ],
)
def test_t39_a_token_among_websocket_protocols_goes_valid_or_not(value: bytes, left: bytes | None) -> None:
    assert without_bearer_protocol(value) == left


def test_what_is_no_token_takes_no_place() -> None:
    names = [b"x-%d" % number for number in range(MAX_CANDIDATES)]
    odd = tuple((name, b"a b\xff") for name in names)
    found = presented_tokens(request(b"/", (*odd, (b"X-Key", b"t"))), DECLARED | frozenset(names))
    assert found == (Presented(b"t", b"x-key"),)


def test_few_are_looked_at() -> None:
    names = [b"x-%d" % number for number in range(20)]
    found = presented_tokens(request(b"/", tuple((name, b"t") for name in names)), frozenset(names))
    assert len(found) == MAX_CANDIDATES


@given(st.one_of(st.binary(max_size=40), st.binary(max_size=20).map(lambda raw: b"Basic " + raw)))
def test_any_field_is_taken(field: bytes) -> None:
    token = only(head_with(field))
    assert token is None or token.decode("ascii").isprintable()


def test_t27_it_does_not_show_itself() -> None:
    assert "abc" not in repr(Presented(b"abc", b"x-key"))


# -- what a token says of itself


def jwt(**claims: Any) -> bytes:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"e30." + payload + b".c2ln"


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("token", "claims"),
    [
        (jwt(exp=5, aud="a"), Claims(frozenset({"a"}), 5.0)),
        (jwt(exp=5.5, aud=["a", "b"]), Claims(frozenset({"a", "b"}), 5.5)),
        (jwt(nbf=1), Claims()),
        (jwt(aud=[]), Claims()),
        (jwt(exp=5, aud=7), Claims(ends=5.0)),
        (jwt(exp=5, aud=None), Claims(ends=5.0)),
        (jwt(exp="5", aud="a"), Claims(frozenset({"a"}))),
        (b"h." + urlsafe_b64encode(b'{"exp": 5, "a": ' + b"[" * 4000).rstrip(b"=") + b".s", Claims()),
        (jwt(exp=5, aud="a", deep=nested(MOST_LEVELS - 1)), Claims(frozenset({"a"}), 5.0)),
        (jwt(exp=5, aud="a", deep=nested(MOST_LEVELS)), Claims()),
        (jwt(exp=5).rpartition(b".")[0], Claims()),
        (jwt(exp=5) + b".x", Claims()),
        (b"a.b.c", Claims()),
        (b"a.b", Claims()),
        (b"a.%.c", Claims()),
        (b"a.bm9wZQ.c", Claims()),
        (b"a.e30.c", Claims()),
        (b"..", Claims()),
        (b"a." + b"\xff" + b".c", Claims()),
        (b"opaque", Claims()),
    ],
)
def test_what_a_token_says(token: bytes, claims: Claims) -> None:
    assert claims_of(token) == claims


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda raw: b"a." + b64encode(raw) + b".b")))
def test_any_token_is_taken(token: bytes) -> None:
    assert isinstance(claims_of(token), Claims)


# -- for whom it may be made


KEY = ConnectorKey("team", "git")
HOST = "http://c-git.team.svc.example.org"
PATH = "/namespaces/team/connectors/git"


def of(*uris: str) -> frozenset[str]:
    return audiences_of(KEY, frozenset(uris), "example.org")


def test_both_forms_of_the_proxy_url() -> None:
    assert of() == {HOST, HOST + PATH}


def test_a_path_of_a_class_is_part_of_it() -> None:
    assert of("/prefix/") == {HOST, HOST + PATH, HOST + "/prefix", HOST + "/prefix" + PATH}


def test_t08_an_address_that_connectors_share_is_no_audience_of_one() -> None:
    assert of("https://registry.example.com/") == {HOST, HOST + PATH, "https://registry.example.com" + PATH}


def test_t08_no_audience_fits_two_connectors() -> None:
    others = [ConnectorKey("team", "git2"), ConnectorKey("team2", "git"), ConnectorKey("git", "team")]
    for other in others:
        assert not of("/p", "https://r") & audiences_of(other, frozenset({"/p", "https://r"}), "example.org")
