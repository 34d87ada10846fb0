"""The tool for large bodies, as a client sees it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from bench.bodies import answer

RIGHT = "Authorization: Basic abc\r\n"
OK, REFUSED = b"HTTP/1.1 200 OK", b"HTTP/1.1 401 Unauthorized"


@contextmanager
def connected() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=_answer, args=(theirs,))
    thread.start()
    with ours:
        ours.settimeout(10)
        yield ours
    thread.join(10)


def _answer(connection: socket.socket) -> None:
    # A client that has seen enough closes its end.
    with suppress(OSError), connection:
        answer(connection, "Basic abc")


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        (["PUT /u HTTP/1.1\r\n", RIGHT, "Content-Length: 5\r\n\r\n", "he", "llo"], OK),
        (["PUT /u HTTP/1.1\r\n", RIGHT.lower(), "Content-Length: 0\r\n\r\n"], OK),
        (["PUT /u HTTP/1.1\r\n" + RIGHT, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r", "\n\r", "\n"], OK),
        (["GET /small/ HTTP/1.1\r\n", RIGHT, "\r\n"], OK),
        (["GET /chunked/1024 HTTP/1.1\r\n\r\n"], REFUSED),
        (["PUT /u HTTP/1.1\r\nContent-Length: 5\r\nAuthorization: Basic other\r\n\r\n"], REFUSED),
    ],
    ids=["length", "nothing", "chunked", "other path", "no credential", "wrong credential"],
)
def test_answers(pieces: list[str], status: bytes) -> None:
    with connected() as client:
        for piece in pieces:
            client.sendall(piece.encode())
        assert client.recv(1024).startswith(status)


def test_chunks_have_the_size_that_is_asked_for() -> None:
    with connected() as client:
        client.sendall(f"GET /chunked/32768 HTTP/1.1\r\n{RIGHT}\r\n".encode())
        received = b""
        while len(received) < 100_000:
            received += client.recv(65536)
    body = received.partition(b"\r\n\r\n")[2]
    assert body[:6] == b"8000\r\n"
    assert body[6 + 32768 :][:8] == b"\r\n8000\r\n"
