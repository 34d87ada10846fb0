from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.json_depth import MOST_LEVELS
from proxy.token_claims import Claims, claims_of


def jwt(**claims: Any) -> bytes:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
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
        (b"h." + base64.urlsafe_b64encode(b'{"exp": 5, "a": ' + b"[" * 4000).rstrip(b"=") + b".s", Claims()),
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


@given(st.one_of(st.binary(max_size=60), st.binary(max_size=40).map(lambda raw: b"a." + base64.b64encode(raw) + b".b")))
def test_any_token_is_taken(token: bytes) -> None:
    assert isinstance(claims_of(token), Claims)
