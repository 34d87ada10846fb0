from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.credentials.credential import (
    ANONYMOUS,
    CALLERS_OWN,
    Credential,
    Owned,
    add_query,
    fold,
    revealed,
    without_query,
)
from connectors.http.message import RequestHead, Version
from connectors.objects.secret import SecretValue


def test_header_fields_are_shown_in_order() -> None:
    fields = ((b"Authorization", SecretValue(b"Basic eA==")), (b"X-Key", SecretValue(b"k")))
    assert revealed(Credential(headers=fields)) == ((b"Authorization", b"Basic eA=="), (b"X-Key", b"k"))
    assert revealed(ANONYMOUS) == ()


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
    head = RequestHead(b"GET", target, ((b"Host", b"h"),), Version.HTTP_1_0)
    made = add_query(((b"key", SecretValue("a&b=ä".encode())),), head)
    assert made == RequestHead(b"GET", injected, head.headers, head.version)


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
