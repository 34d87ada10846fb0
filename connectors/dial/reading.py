"""What HttpClient takes from a connection, at most and at a time. The tool decides how much it sends, and how fast.

aiohttp parses all that one read returns before anything else has its turn, and waits through any number of interim
answers: 64 tools that sent nothing else kept the controller's loop busy for 7 s at a stretch, 350 MiB in use.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError, RawResponseMessage

READ = 16 * 1024
"""Bytes of one read: a thousand of the smallest answers, some 10 ms."""
MAX_RECEIVED = 10 * 1024 * 1024
"""Bytes of a connection: a head of 2 MiB, a body of 1 MiB in chunks of one byte, which is 6 MiB, and what TLS adds."""
MAX_INTERIM = 128
"""Interim answers (RFC 9110 section 15.2), which nobody reads: a tool that takes long may send several a second."""


class BoundedSocket(socket.socket):
    """Small reads, and the end of the connection after MAX_RECEIVED bytes."""

    _received = 0

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """At most READ bytes; asyncio reads a connection without TLS so."""
        if self._received >= MAX_RECEIVED:
            return b""
        data = super().recv(min(bufsize, READ), flags)
        self._received += len(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """At most READ bytes; asyncio reads a connection with TLS so."""
        if self._received >= MAX_RECEIVED:
            return 0
        count = super().recv_into(buffer, min(nbytes or len(buffer), READ), flags)
        self._received += count
        return count


class _FewInterim(ResponseHandler):
    """Drops interim answers, and the connection where there are too many."""

    _interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, aiohttp.StreamReader], size: int = 0) -> None:
        """One answer that was parsed."""
        if not 100 <= data[0].code < 200 or data[0].code == 101:
            if self._interim <= MAX_INTERIM:
                super().feed_data(data, size)
            return
        self._interim += 1
        if self._interim == MAX_INTERIM + 1:
            self.set_exception(HttpProcessingError(message="too many interim answers"))
            if self.transport is not None:
                self.transport.abort()


class BoundedConnector(aiohttp.TCPConnector):
    """A connector that takes few interim answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        """`options` are TCPConnector's."""
        super().__init__(loop=loop, **options)
        protocol: type[ResponseHandler] = _FewInterim
        self._factory = functools.partial(protocol, loop=loop)
