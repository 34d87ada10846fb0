from __future__ import annotations

import pytest

from connectors.http.message import FRAMING, HOP_BY_HOP, NEVER_TRAILERS, Headers, RequestHead, Version
from proxy.inject import accepts_trailers, not_forwarded, wants_websocket

UPGRADE = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


@pytest.mark.parametrize(
    ("connections", "nominated"),
    [
        pytest.param((), set(), id="none"),
        pytest.param((b"close, keep-alive",), {b"close"}, id="options"),
        pytest.param((b"X-A",), {b"x-a"}, id="one"),
        pytest.param((b"x-a , X-B", b"x-c"), {b"x-a", b"x-b", b"x-c"}, id="several fields"),
        pytest.param((b"Host, Content-Length, Transfer-Encoding",), set(), id="framing is not to be taken away"),
        pytest.param((b"content_length, X_A",), {b"x-a"}, id="folded"),
        pytest.param((b",, ,",), set(), id="empty"),
    ],
)
def test_t03_nominations(connections: tuple[bytes, ...], nominated: set[bytes]) -> None:
    headers: Headers = tuple((b"Connection", value) for value in connections)
    assert not_forwarded(RequestHead(b"GET", b"/", headers)) == HOP_BY_HOP | nominated


@pytest.mark.parametrize(
    ("method", "headers", "version", "wanted"),
    [
        pytest.param(b"GET", UPGRADE, Version.HTTP_1_1, True, id="yes"),
        pytest.param(b"POST", UPGRADE, Version.HTTP_1_1, False, id="method"),
        pytest.param(b"GET", UPGRADE, Version.HTTP_1_0, False, id="version"),
        pytest.param(b"GET", UPGRADE[1:], Version.HTTP_1_1, False, id="not nominated"),
        pytest.param(b"GET", UPGRADE[:1], Version.HTTP_1_1, False, id="no protocol"),
        pytest.param(b"GET", (*UPGRADE, UPGRADE[1]), Version.HTTP_1_1, False, id="twice"),
        pytest.param(b"GET", (UPGRADE[0], (b"Upgrade", b"h2c")), Version.HTTP_1_1, False, id="h2c"),
        pytest.param(b"GET", (UPGRADE[0], (b"Upgrade", b"websocket, h2c")), Version.HTTP_1_1, False, id="list"),
    ],
)
def test_t20_only_a_plain_websocket_upgrade(method: bytes, headers: Headers, version: Version, wanted: bool) -> None:
    assert wants_websocket(RequestHead(method, b"/", headers, version)) is wanted


@pytest.mark.parametrize(
    ("te", "accepted"), [(b"trailers", True), (b"gzip, Trailers", True), (b"", False), (b"trailersx", False)]
)
def test_te(te: bytes, accepted: bool) -> None:
    assert accepts_trailers(RequestHead(b"GET", b"/", ((b"TE", te),))) is accepted


def test_no_trailer_frames_routes_or_authenticates() -> None:
    assert HOP_BY_HOP | FRAMING | {b"authorization", b"set-cookie", b"location"} <= NEVER_TRAILERS
