"""A text stream into a descriptor that several processes write to: no line is divided by another's."""

from __future__ import annotations

import io
import os
import select
import stat
from collections.abc import Iterator

# Bytes that one write puts into a pipe undivided (POSIX write(2)); in a file that is appended to, any number.
ATOMIC = select.PIPE_BUF


def at_most_whole_lines(data: bytes, most: int = ATOMIC) -> int:
    """How many bytes of `data` to write at once: whole lines of `most` bytes together, or one line that is longer."""
    if len(data) <= most:
        return len(data)
    end = data.rfind(b"\n", 0, most) + 1
    # A single line above the limit cannot be kept whole in a pipe: it goes alone, so that no other one suffers.
    return end or (data.find(b"\n") + 1 or len(data))


def is_file(descriptor: int) -> bool:
    """Whether one write to it is never divided, however large: a regular file."""
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:  # it is closed, which the first write tells
        return False


class WholeLines(io.TextIOBase):
    """Keeps text until `flush`, or, as a logging handler wants it, until a line ends and nothing waits."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._file = is_file(descriptor)
        self._waiting: list[str] = []

    def writable(self) -> bool:
        """True: it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Keep it for `flush`."""
        self._waiting.append(text)
        return len(text)

    def flush(self) -> None:
        """Hand all that was written to the kernel.

        Raises:
            OSError: the descriptor takes nothing; what was kept is dropped.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for piece in self._pieces("".join(waiting).encode("utf-8", "backslashreplace")):
            written = 0
            # A signal, or a disk that is nearly full, can cut a write short.
            while written < len(piece):
                written += os.write(self._descriptor, piece[written:])

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        while data:
            size = len(data) if self._file else at_most_whole_lines(data)
            yield data[:size]
            data = data[size:]
