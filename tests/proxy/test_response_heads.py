"""Heads that are remembered as a whole."""

from __future__ import annotations

from itertools import permutations

import pytest

from connectors.http.message import ResponseHead
from proxy.response import COST, KnownLines
from tests.proxy.test_response import BUDGET, FORWARDS, OK, known, see, taught


def whole(*fields: bytes, status_line: bytes = OK) -> tuple[bytes, KnownLines]:
    """A head, and lines that have seen each of its own, and it twice."""
    raw = b"\r\n".join([status_line, *fields])
    lines = taught(raw, budget=10 * BUDGET)
    see(lines, *fields, *fields)
    for _ in range(2):
        known(raw, lines, FORWARDS[0])
    return raw, lines


def test_a_head_of_known_lines_is_known_as_a_whole() -> None:
    raw, lines = whole(b"X-Trace: 1", b"Connection: keep-alive", b"Content-Length: 5")
    found = known(raw, lines, FORWARDS[0])
    assert found is lines.heads[raw]
    assert (found.length_if_kept, found.head_if_kept) == (5, OK + b"\r\nX-Trace: 1\r\nContent-Length: 5\r\n\r\n")
    assert found.head_if_kept == found.head + b"\r\n"


@pytest.mark.parametrize(
    ("fields", "status_line"),
    [
        ((b"Transfer-Encoding: chunked",), OK),
        ((b"X-Trace: 1",), OK),
        ((b"Connection: close", b"Content-Length: 5"), OK),
        ((b"Content-Length: 5",), b"HTTP/1.1 304 Not Modified"),
        ((b"Content-Length: 0",), b"HTTP/1.1 204 No Content"),
    ],
)
def test_where_a_body_ends_otherwise_that_is_not_said_in_advance(fields: tuple[bytes, ...], status_line: bytes) -> None:
    raw, lines = whole(*fields, status_line=status_line)
    found = known(raw, lines, FORWARDS[0])
    assert found is lines.heads[raw]
    assert (found.length_if_kept, found.head_if_kept) == (-1, b"")


@pytest.mark.parametrize("field", [b"Location: /git/a", b"X-Token: canary-5e1f", b"Set-Cookie: a=b"])
def test_no_head_is_kept_that_is_made_for_each_request_or_somebodys_secret(field: bytes) -> None:
    _, lines = whole(b"X-Trace: 1", field)
    assert lines.lines == {b"X-Trace: 1": (b"X-Trace: 1\r\n", None)}
    assert lines.heads == {}


def test_whole_heads_have_a_quarter_of_the_budget() -> None:
    fields = [b"X-%d: y" % number for number in range(6)]
    lines = taught(b"\r\n".join([OK, *fields]), budget=10_000)
    see(lines, *fields, *fields)
    most = 0
    for order in permutations(fields):
        assert known(b"\r\n".join([OK, *order]), lines, FORWARDS[0]) is not None
        most = max(most, sum(len(head) + len(made.head) + 2 * COST for head, made in lines.heads.items()))
    assert 1250 < most <= 2500
    assert set(lines.lines) == set(fields), "they push no line out"


def test_whose_a_407_is_is_judged_each_time() -> None:
    lines = KnownLines(BUDGET)
    lines.learn(b"HTTP/1.1 407 Who", ResponseHead(407, b"Who", ()))
    lines.learn(b"HTTP/1.1 401 Who", ResponseHead(401, b"Who", ()))
    assert set(lines.statuses) == {b"HTTP/1.1 401 Who"}
