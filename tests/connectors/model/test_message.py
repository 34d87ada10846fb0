from __future__ import annotations

import pytest

from connectors.model.message import RequestHead, ResponseHead


@pytest.mark.parametrize("kind", ["request", "response"])
def test_values_ignore_case_and_keep_order(kind: str) -> None:
    headers = ((b"X-A", b"1"), (b"b", b"2"), (b"x-a", b"3"))
    head = RequestHead(b"GET", b"/", headers) if kind == "request" else ResponseHead(200, b"OK", headers)
    assert list(head.values(b"x-a")) == [b"1", b"3"]
    assert list(head.values(b"c")) == []
    assert list(head.values(b"b")) == [b"2"]


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
