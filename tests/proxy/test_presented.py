from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import Headers, RequestHead
from proxy.presented import MAX_CANDIDATES, MAX_TOKEN, Presented, presented_tokens
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
