"""Large bodies: each way in which they pass gives the same bytes, counts and ends."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.peers.dialogue import OK, get, message, seen
from tests.proxy.transcripts.conftest import Talk

SIZE = 12 * 1024 * 1024 + 17
POST = b"POST / HTTP/1.1"


def body() -> bytes:
    return os.urandom(SIZE)


async def test_down(talk: Talk) -> None:
    line = await talk()
    data = body()
    for _ in range(3):
        line.client_sends(get())
        await line.tool_sees(seen())
        head = message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % SIZE)
        line.tool_sends(head + data)
        await line.client_gets(head)
        assert hashlib.sha256(await line.client.read_exactly(SIZE, 30)).digest() == hashlib.sha256(data).digest()
    await line.works()
    assert len(line.upstream.connections) == 1
