"""How long an event loop stands still: asks a proxy every two milliseconds, and remembers the slowest answers.

Runs as a process of its own, so that nothing but the proxy can keep it waiting: prints `beating` once it has begun and,
on SIGTERM, the slowest answers. It asks for a Connector that is not there: a refusal takes one turn and no tool.
"""

from __future__ import annotations

import argparse
import signal
import socket
import threading
import time

ASKED = b"GET /nothing HTTP/1.1\r\nHost: c-none.none.svc\r\n\r\n"
PAUSE = 0.002
KEPT = 5
# Seconds after which an answer is given up.
SLOW = 5.0


def beat(connection: socket.socket) -> float:
    """Ask once; returns seconds until the whole answer is there.

    Raises:
        OSError: there is none.
    """
    began = time.perf_counter()
    ask(connection, ASKED)
    return time.perf_counter() - began


def ask(connection: socket.socket, request: bytes) -> None:
    """Send a request, and read its answer to the end.

    Raises:
        OSError: it does not come.
    """
    connection.sendall(request)
    received = b""
    while not complete(received):
        piece = connection.recv(64 * 1024)
        if not piece:
            raise ConnectionError("the proxy closed the connection")
        received += piece


def complete(received: bytes) -> bool:
    """Whether an answer of known length is there to its end."""
    head, found, body = received.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return len(body) >= (int(lengths[0]) if lengths else 0)


def main() -> None:
    """Beat until SIGTERM."""
    parser = argparse.ArgumentParser("python -m bench.pulse", description=__doc__)
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    taken: list[float] = []
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with socket.create_connection(("127.0.0.1", port), SLOW) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        beat(connection)
        print("beating", flush=True)
        while not ended.wait(PAUSE):
            taken.append(beat(connection))
    slowest = ", ".join(f"{1000 * seconds:.2f}" for seconds in sorted(taken, reverse=True)[:KEPT])
    print(f"slowest of {len(taken)} answers: {slowest} ms", flush=True)


if __name__ == "__main__":
    main()
