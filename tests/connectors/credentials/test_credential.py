from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.credentials.credential import ANONYMOUS, CALLERS_OWN, Credential, Owned, apply, fold, without_query
from connectors.model.message import RequestHead
from connectors.model.secret_value import SecretValue

HEAD = RequestHead(b"GET", b"/a?x=1", ((b"Host", b"h"), (b"X-A", b"1")))


def test_headers_go_behind_the_callers() -> None:
    made = apply(HEAD, Credential(headers=((b"Authorization", SecretValue(b"Basic eA==")),)))
    assert made.headers == (*HEAD.headers, (b"Authorization", b"Basic eA=="))
    assert (made.method, made.target) == (HEAD.method, HEAD.target)


@pytest.mark.parametrize(
    ("target", "injected"),
    [
        (b"/a", b"/a?key=a%26b%3D%C3%A4"),
        (b"/a?", b"/a?key=a%26b%3D%C3%A4"),
        (b"/a?x=1", b"/a?x=1&key=a%26b%3D%C3%A4"),
        (b"/a?x=1&", b"/a?x=1&key=a%26b%3D%C3%A4"),
        (b"/a%2F?%zz", b"/a%2F?%zz&key=a%26b%3D%C3%A4"),
    ],
)
def test_query_parameters_are_encoded_and_the_rest_keeps_its_bytes(target: bytes, injected: bytes) -> None:
    head = RequestHead(b"GET", target, ())
    made = apply(head, Credential(query=((b"key", SecretValue("a&b=ä".encode())),)))
    assert made.target == injected


def test_without_a_credential_nothing_changes() -> None:
    assert apply(HEAD, ANONYMOUS) is HEAD


@pytest.mark.parametrize("name", [b"PRIVATE-TOKEN", b"private_token", b"Private-Token"])
def test_names_that_a_tool_may_take_for_one_are_one(name: bytes) -> None:
    assert fold(name) == b"private-token"


@pytest.mark.parametrize(
    ("target", "left"),
    [
        (b"/a", b"/a"),
        (b"/a?", b"/a?"),
        (b"/a?x=1", b"/a?x=1"),
        (b"/a?key=1", b"/a"),
        (b"/a?key", b"/a"),
        (b"/a?x=1&key=2&y=3", b"/a?x=1&y=3"),
        (b"/a?x=1&&y", b"/a?x=1&&y"),
        (b"/a?%6Bey=1&x", b"/a?x"),
        (b"/a?Key=1", b"/a"),
        (b"/a?x=1;key=2", b"/a?x=1"),
        (b"/a?x=key", b"/a?x=key"),
    ],
)
def test_t21_the_callers_own_parameter_is_taken_out(target: bytes, left: bytes) -> None:
    assert without_query(target, frozenset({b"key"})) == left


@given(st.lists(st.sampled_from([b"key=1", b"x=1", b"y", b"", b"%6b%65%79"]), max_size=6).map(b"&".join))
def test_t21_no_spelling_of_an_owned_name_stays(query: bytes) -> None:
    left = without_query(b"/?" + query, frozenset({b"key"}))
    assert b"key" not in left.replace(b"%6b%65%79", b"key")
    assert left.count(b"x=1") == query.count(b"x=1")


def test_nothing_owned_leaves_the_target_alone() -> None:
    assert without_query(b"/a?key=1", frozenset()) == b"/a?key=1"


def test_owned_names_add_up() -> None:
    one = Owned(frozenset({b"a"}), frozenset({b"q"}))
    assert one | Owned(frozenset({b"b"})) == Owned(frozenset({b"a", b"b"}), frozenset({b"q"}))
    assert b"authorization" in CALLERS_OWN.headers


def test_t14_a_credentials_repr_shows_no_value() -> None:
    made = Credential(((b"X-A", SecretValue(b"canary")),), ((b"q", SecretValue(b"canary")),))
    assert "canary" not in repr(made)
