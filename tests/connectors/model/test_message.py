from __future__ import annotations

import pytest

from connectors.model.message import RequestHead, ResponseHead, values


def test_values_ignore_case_and_keep_order() -> None:
    headers = ((b"X-A", b"1"), (b"b", b"2"), (b"x-a", b"3"))
    assert values(headers, b"x-a") == [b"1", b"3"]
    assert values(headers, b"c") == []


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
