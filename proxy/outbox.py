"""Messages written in one turn of the event loop are sent together at its end."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

logger = logging.getLogger(__name__)

# Bytes that may wait; with more, all are sent at once.
MOST: Final = 256 * 1024


class Outbox:
    """Whole messages for connections of one event loop, in their order.

    Each write to a socket wakes who waits for it. One by one, between the requests that are still to be read, each of
    them wakes a peer that has fallen asleep since the one before; together, the first one does, and the others find it
    at work. That is a tenth of the CPU of a small request.

    Whatever else writes to one of these connections, or ends one, calls `flush` before.
    """

    __slots__ = ("_size", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._size = 0

    def put(self, transport: asyncio.Transport, data: bytes) -> None:
        """Send `data` at the end of this turn."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((transport, data))
        self._size += len(data)
        if self._size > MOST:
            self.flush()

    def flush(self) -> None:
        """Send what waits, now."""
        if not self._waiting:
            return
        waiting, self._waiting, self._size = self._waiting, [], 0
        for transport, data in waiting:
            try:
                if not transport.is_closing():
                    transport.write(data)
            except Exception:
                # Of this connection alone: the others get theirs.
                logger.exception("a message could not be written; please report it")
                transport.abort()
