"""The lines of a watch: one JSON object each, of any length that an object can have."""

from __future__ import annotations

from collections.abc import Iterator

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes. etcd takes objects of 1.5 MiB by default; JSON may write one of them several times as long."""


class LineTooLongError(Exception):
    """A line is longer than LINE_LIMIT: not what an API server sends."""


class Lines:
    """Cuts a stream into lines, whatever its pieces are."""

    __slots__ = ("_held", "_size")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that `piece` completes, without their ends; empty lines are left out.

        Raises:
            LineTooLongError: see there.
        """
        first, *others = piece.split(b"\n")
        self._hold(first)
        for part in others:
            line = b"".join(self._held)
            self._held, self._size = [], 0
            self._hold(part)
            if line.strip():
                yield line

    @property
    def partial(self) -> bool:
        """Whether the stream stands inside a line."""
        return self._size > 0

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > LINE_LIMIT:
            raise LineTooLongError(f"a line of a watch is longer than {LINE_LIMIT} bytes")
        if part:
            self._held.append(part)
