"""Large bodies whose every byte says whose it is, and how a client asks for them."""

from __future__ import annotations

import asyncio
from functools import cache

import pytest

from tests.peers.dialogue import Dialogue, get, message, seen
from tests.peers.raw_stream import RawStream
from tests.proxy.transcripts.remembering.scene import until

MIB = 1024 * 1024
LARGE = 12 * MIB
MIDDLE = 2 * MIB
"""More than what is worth to be moved unread, and than the kernel holds between two ends."""
SECONDS = 30.0
PROMPTLY = 2.0
"""Seconds. A tenth of one on an idle machine is meant; an end that waits for a timeout takes far more."""
OK_LINE = b"HTTP/1.1 200 OK"
Paths = pytest.mark.parametrize("path", ["plain", "TLS listener", "TLS tool"])
"""Over which of the connections TLS is spoken."""


@cache
def content(tag: bytes, size: int) -> bytes:
    """So many bytes, every sixteen of which say whose they are, by a letter, and where they stand."""
    return _places()[:size].replace(b"?", tag)


@cache
def _places() -> bytes:
    return b"".join(b"?%015d" % number for number in range(LARGE // 16))


def head(size: int, *lines: bytes) -> bytes:
    return message(OK_LINE, *lines, b"Content-Length: %d" % size)


async def asked(line: Dialogue, target: bytes = b"/x") -> RawStream:
    """The client asks for `target`; the tool's end of the connection on which it comes."""
    before = len(line.upstream.connections)
    line.client_sends(get(target))
    await until(lambda: len(line.upstream.connections) > before or bool(line._tool and line._tool.unread))
    if len(line.upstream.connections) > before:
        await line.tool_accepts()
    await line.tool_sees(seen(target))
    return line.tool


def same(got: bytes, wanted: bytes) -> None:
    """As `assert got == wanted`, which would show both of them."""
    if got != wanted:
        place = next((at for at, pair in enumerate(zip(got, wanted, strict=False)) if pair[0] != pair[1]), len(wanted))
        start = max(0, place - 32)
        raise AssertionError(f"differs at {place}: {got[start : place + 32]!r} is not {wanted[start : place + 32]!r}")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)
