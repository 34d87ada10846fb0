from __future__ import annotations

import pytest

from connectors.expressions.limits import MAX_OUTPUT, Buffer


def test_a_buffer_puts_pieces_together() -> None:
    buffer = Buffer()
    for piece in (b"a", b"", b"\xff"):
        buffer.add(piece)
    assert buffer.value() == b"a\xff"


def test_a_buffer_never_holds_more_than_the_limit() -> None:
    buffer = Buffer()
    buffer.add(b"x" * MAX_OUTPUT)
    with pytest.raises(ValueError, match="longer than 16384 bytes"):
        buffer.add(b"x")
    assert len(buffer.value()) == MAX_OUTPUT
