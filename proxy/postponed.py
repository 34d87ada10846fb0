"""Bytes that wait for a later turn of the event loop: no peer keeps the others waiting with what is costly to read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Postponed:
    """The rest of what has arrived on one side. True while there is any: nothing more is read on that side until then.

    A body of tiny chunks costs microseconds a byte, and the event loop reads megabytes from one connection in a turn.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, go_on: Callable[[bytes], None], changed: Callable[[], None]
    ) -> None:
        """`go_on` takes the bytes in a later turn; `changed` hears that there are some now, or none any more."""
        self._loop = loop
        self._go_on = go_on
        self._changed = changed
        self._data = b""

    def __bool__(self) -> bool:
        return bool(self._data)

    def put(self, data: bytes) -> None:
        """Keep `data` for the next turn."""
        self._data += data
        self._changed()
        self._loop.call_soon(self._turn)

    def flush(self) -> None:
        """Go on at once until nothing is left: there will be no later turn."""
        while self._data:
            self._turn()

    def drop(self) -> None:
        """Forget it."""
        self._data = b""

    def _turn(self) -> None:
        data, self._data = self._data, b""
        if data:
            self._go_on(data)
            self._changed()
