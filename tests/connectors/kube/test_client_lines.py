from __future__ import annotations

import pytest

from connectors.kube.client import LINE_LIMIT, Lines, LineTooLongError


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_do_not_depend_on_the_pieces(size: int) -> None:
    stream = b'{"a": 1}\n\n{"b": "\xc3\xa4"}\r\n{"c": 3}\n'
    lines = Lines()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    found = [line.strip() for piece in pieces for line in lines.feed(piece)]
    assert found == [b'{"a": 1}', b'{"b": "\xc3\xa4"}', b'{"c": 3}']
    assert not lines.partial


def test_a_line_without_its_end_is_seen() -> None:
    lines = Lines()
    assert list(lines.feed(b'{"a": 1}\n{"b"')) == [b'{"a": 1}']
    assert lines.partial


def test_a_line_has_a_limit() -> None:
    lines = Lines()
    half = b"x" * (LINE_LIMIT // 2)
    assert list(lines.feed(half)) == []
    assert list(lines.feed(half)) == []
    with pytest.raises(LineTooLongError):
        list(lines.feed(b"x"))
