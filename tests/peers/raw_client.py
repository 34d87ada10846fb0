"""A client that is nothing but a socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.peers.raw_stream import RawStream


async def connect(
    port: int,
    host: str = "127.0.0.1",
    *,
    paused: bool = False,
    tls: ssl.SSLContext | None = None,
    source: str = "",
) -> RawStream:
    """Connect, with `tls` over TLS, from the address `source`. The caller closes it; `connected` does so by itself."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    _, stream = await loop.create_connection(lambda: RawStream(paused=paused), host, port, ssl=tls, local_addr=local)
    return stream


@asynccontextmanager
async def connected(
    port: int, host: str = "127.0.0.1", *, paused: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawStream]:
    """A connection for the length of a block."""
    stream = await connect(port, host, paused=paused, tls=tls)
    try:
        yield stream
    finally:
        stream.transport.abort()
        await stream.wait_lost()
