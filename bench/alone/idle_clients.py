"""Memory of clients that have asked once and stay connected."""

from __future__ import annotations

import asyncio
import resource
import socket
from contextlib import ExitStack

from bench.alone.serving import Serving, host
from bench.measure import resident
from bench.pulse import ask

REQUEST = f"GET /small/idle HTTP/1.1\r\nHost: {host(0)}\r\n\r\n".encode()
WARM = 64
# Files that a process needs beside its connections.
SPARE_FILES = 200


async def measure(serving: Serving, clients: int) -> dict[str, float]:
    """Bytes of the proxy's own memory for each of so many clients; what the kernel keeps for sockets is not in it."""
    with ExitStack() as exits:
        await asyncio.to_thread(_connect, exits, serving.port, WARM)
        # As long as after them: what a process still gives back of its start is none of theirs.
        await asyncio.sleep(1.0)
        before = resident(serving.proxy.pid)
        await asyncio.to_thread(_connect, exits, serving.port, clients)
        await asyncio.sleep(1.0)
        return {"clients": float(clients), "bytes each": (resident(serving.proxy.pid) - before) / clients}


def allow_files(count: int) -> None:
    """Let this process, and those that it starts, open so many files and a few more.

    Raises:
        ValueError: the machine does not allow it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + SPARE_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + SPARE_FILES, hard))


def _connect(exits: ExitStack, port: int, count: int) -> None:
    for _ in range(count):
        connection = exits.enter_context(socket.create_connection(("127.0.0.1", port), 10.0))
        ask(connection, REQUEST)
