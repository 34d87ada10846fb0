"""A tool for large bodies: takes them as fast as a socket gives them, sends them as fast as it takes them.

Prints `listening on PORT`. One request a connection; 401 without the credential. PUT: 200 once the whole body (of known
length, or chunked) has arrived. GET /chunked/SIZE: 1 GiB in
chunks of SIZE bytes.
"""

from __future__ import annotations

import argparse
import re
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

GIB = 1024**3
PIECE = 1024 * 1024
END = b"0\r\n\r\n"


def answer(connection: socket.socket, authorization: str) -> None:
    """Read one request, and answer it."""
    head, received = _head(connection)
    if f"\r\nauthorization: {authorization}\r\n".lower().encode() not in head.lower() + b"\r\n":
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif head.startswith(b"PUT "):
        _take(connection, head, received)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    elif not head.startswith(b"GET /chunked/"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    else:
        _send(connection, int(head.split(b" ", 2)[1].rpartition(b"/")[2]))


def _head(connection: socket.socket) -> tuple[bytes, bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, rest = received.partition(b"\r\n\r\n")
    return head, rest


def _take(connection: socket.socket, head: bytes, received: bytes) -> None:
    found = re.search(rb"(?im)^content-length:\s*(\d+)", head)
    if found is None:
        while not received.endswith(END):  # what is sent holds no such bytes of its own
            received = received[-len(END) :] + _some(connection)
        return
    rest = int(found[1]) - len(received)
    buffer = bytearray(PIECE)
    while rest > 0:
        count = connection.recv_into(buffer, min(rest, PIECE))
        if not count:
            raise ConnectionError
        rest -= count


def _send(connection: socket.socket, size: int) -> None:
    chunks = (f"{size:x}\r\n".encode() + bytes(size) + b"\r\n") * (PIECE // size)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    for _ in range(GIB // PIECE):
        connection.sendall(chunks)
    connection.sendall(END)


def _some(connection: socket.socket) -> bytes:
    piece = connection.recv(PIECE)
    if not piece:
        raise ConnectionError
    return piece


def _serve(connection: socket.socket, context: ssl.SSLContext | None, authorization: str) -> None:
    with suppress(OSError), connection:
        if context is None:
            answer(connection, authorization)
            return
        with context.wrap_socket(connection, server_side=True) as secured:
            answer(secured, authorization)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser("python -m bench.bodies", description=__doc__)
    parser.add_argument("authorization", help="the value that requests must have")
    parser.add_argument("--chain", type=Path, help="serve TLS with this certificate chain")
    parser.add_argument("--key", type=Path, help="and this key")
    given = parser.parse_args()
    context = None
    if given.chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.chain, given.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"listening on {listener.getsockname()[1]}", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_serve, args=(connection, context, given.authorization), daemon=True).start()


if __name__ == "__main__":
    main()
