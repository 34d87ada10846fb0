from __future__ import annotations

import pytest

from connectors.http.message import RequestHead, ResponseHead, Version


@pytest.mark.parametrize("kind", ["request", "response"])
def test_values_ignore_case_and_keep_order(kind: str) -> None:
    headers = ((b"X-A", b"1"), (b"b", b"2"), (b"x-a", b"3"))
    head = RequestHead(b"GET", b"/", headers) if kind == "request" else ResponseHead(200, b"OK", headers)
    assert list(head.values(b"x-a")) == [b"1", b"3"]
    assert list(head.values(b"c")) == []
    assert list(head.values(b"b")) == [b"2"]


def test_equality_is_of_what_is_on_the_wire() -> None:
    headers = ((b"X-A", b"1"),)
    asked, same = RequestHead(b"GET", b"/", headers), RequestHead(b"GET", b"/", headers)
    answered = ResponseHead(200, b"OK", headers)
    asked.values(b"x-a")  # builds the index of one of the two
    assert asked == same
    assert answered == ResponseHead(200, b"OK", headers)
    assert asked != RequestHead(b"GET", b"/", headers, Version.HTTP_1_0)
    assert asked != RequestHead(b"GET", b"/", ())
    assert answered != ResponseHead(201, b"OK", headers)
    assert asked != answered


@pytest.mark.parametrize(
    "head",
    [
        RequestHead(b"GET", b"/?key=canary", ((b"Authorization", b"canary"),)),
        ResponseHead(401, b"canary", ((b"Set-Cookie", b"canary"),)),
    ],
)
def test_t14_a_heads_repr_shows_names_only(head: RequestHead | ResponseHead) -> None:
    shown = f"{head!r} {head}"
    assert "canary" not in shown
    assert head.headers[0][0].decode() in shown
