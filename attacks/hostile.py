"""A tool that harms those who ask it, in a process of its own: `python -m attacks.hostile`.

What it does is the last part of the path: `silent` is never answered, of `stuck` no body is read, the rest are ANSWERS.
It remembers the heads that it saw; `/seen` tells them as JSON, and forgets.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Callable
from typing import cast

import aiohttp
import uvloop

from standalone.child import Child
from standalone.demo import CHECKOUT

HOST = "127.0.0.1"
LINE = r"^listening on (\d+)$"
KEPT = 1000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFERENCES = b"<../>," * 10_000
# 252 are as many as are rewritten; one more in a head is refused (proxy/locations.py).
ALLOWED = b"<../>," * 250


def interim(number: int) -> bytes:
    """So many interim heads of addresses, and an answer."""
    return (b"HTTP/1.1 103 Early Hints\r\nLink: " + ALLOWED[:-1] + b"\r\n\r\n") * number + OK


ANSWERS: dict[str, bytes] = {
    "references": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: " + REFERENCES[:-1] + b"\r\n\r\n",
    "allowed": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nLink: " + ALLOWED[:-1] + b"\r\n\r\n",
    "locations": b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n" + b"Location: ..\r\n" * 120 + b"\r\n",
    "interim": interim(99),
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 400_000 + b"0\r\n\r\n",
    "large": b"HTTP/1.1 200 OK\r\nContent-Length: 4194304\r\n\r\n" + bytes(4 * 1024 * 1024),
    "unending": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000,
    "body-of-204": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3\r\nbad\r\n0\r\n\r\n",
    "body-of-304": b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3\r\nbad\r\n0\r\n\r\n",
}


class Hostile(asyncio.Protocol):
    """One connection; requests have no body, or one that is not read."""

    def __init__(self, seen: list[str]) -> None:
        self._seen = seen
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It can be written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer each head."""
        self._read += data
        while self._transport and b"\r\n\r\n" in self._read:
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            self._answer(self._transport, head.decode("latin-1"))

    def _answer(self, transport: asyncio.Transport, head: str) -> None:
        path = head.split(" ")[1].partition("?")[0]
        if path == "/seen":
            body = json.dumps(self._seen).encode()
            self._seen.clear()
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            return
        if len(self._seen) < KEPT:
            self._seen.append(head)
        # A body is not told from a next request; what is asked for with one is the last on its connection.
        if re.search(r"^(content-length: [1-9]|transfer-encoding:)", head, re.IGNORECASE | re.MULTILINE):
            self._read = b""
        what = path.rpartition("/")[2]
        if what == "stuck":
            transport.pause_reading()
        elif what != "silent":
            transport.write(ANSWERS.get(what, OK))


class HostileTool:
    """The process, for those that start it; `address` is for spec.address."""

    def __init__(self, child: Child, port: int) -> None:
        self.child = child
        self.address = f"http://{HOST}:{port}"

    @classmethod
    async def start(cls) -> HostileTool:
        """Return once it listens."""
        child = await Child.start("the hostile tool", [sys.executable, "-m", "attacks.hostile"], cwd=CHECKOUT)
        return cls(child, int((await child.line(LINE))[1]))

    async def seen(self) -> list[str]:
        """The heads since the last time."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.address}/seen") as answer:
            heads: list[str] = await answer.json(content_type=None)
        return heads


async def serve() -> None:
    """Until killed."""
    seen: list[str] = []
    made: Callable[[], Hostile] = lambda: Hostile(seen)  # noqa: E731
    server = await asyncio.get_running_loop().create_server(made, HOST, 0)
    print(f"listening on {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
