"""A tool that takes uploads as fast as a socket gives them and throws them away: one request a connection.

Prints `listening on PORT`. It answers 200 once the whole body, whose Content-Length must be given, has arrived.
"""

from __future__ import annotations

import re
import socket

BUFFER = bytearray(1024 * 1024)


def take(connection: socket.socket) -> None:
    """Read one request to its end and answer it."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(64 * 1024)
        if not piece:
            return
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    rest = (int(found[1]) if found else 0) - len(body)
    while rest > 0:
        count = connection.recv_into(BUFFER, min(rest, len(BUFFER)))
        if not count:
            return
        rest -= count
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def main() -> None:
    """Serve one connection after another until killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                take(connection)


if __name__ == "__main__":
    main()
