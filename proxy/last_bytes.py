"""What was written before a reset, sent before it: a reset makes the kernel drop what it has not sent yet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

SECONDS: Final = 1.0
"""For a peer to take what is left for it: one that reads takes it in milliseconds, and no other is waited for."""
_SENT_ALL = getattr(socket, "TCP_NOTSENT_LOWAT", None)
"""Of tcp(7): with 1, a socket is writable when nothing is unsent in it. Python knows it on Linux."""


class LastBytes:
    """Calls `then` once the transport's bytes are sent, or cannot be; or when the time for that is over."""

    def __init__(self, transport: asyncio.Transport | None, then: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._then = then
        self._duplicate: socket.socket | None = None
        self._timer = self._loop.call_later(SECONDS, self._end)

    def go_on(self) -> None:
        """Look what is left; to be called again when the transport has sent what it holds."""
        transport = self._transport
        connection = transport.get_extra_info("socket") if transport and not transport.is_closing() else None
        if transport is None or connection is None or _SENT_ALL is None:
            self._end()
        elif transport.get_write_buffer_size():
            transport.set_write_buffer_limits(0)
        elif self._duplicate is None:
            # A duplicate: the loop does not let others watch a descriptor that a transport owns.
            self._duplicate = connection.dup()
            self._duplicate.setsockopt(socket.IPPROTO_TCP, _SENT_ALL, 1)
            self._loop.add_writer(self._duplicate.fileno(), self._end)

    def close(self) -> None:
        """Wait no more: a reset is sent only when no duplicate is open."""
        self._timer.cancel()
        if self._duplicate is not None:
            self._loop.remove_writer(self._duplicate.fileno())
            self._duplicate.close()
            self._duplicate = None
        self._transport = None

    def _end(self) -> None:
        self.close()
        self._then()
