from __future__ import annotations

import pytest

from bench.pulse import complete


@pytest.mark.parametrize(
    ("received", "there"),
    [
        (b"", False),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n", False),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\na", False),
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nab", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_complete(received: bytes, there: bool) -> None:
    assert complete(received) is there
