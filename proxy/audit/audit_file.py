"""The file of the audit log: opened by its name, and opened again if the name means another file (log rotation)."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from connectors.process.whole_lines import at_most_whole_lines, is_file

STANDARD_OUTPUT = "-"

_STDOUT = 1
# O_NONBLOCK changes nothing for a file; without it, opening a named pipe without a reader stops the whole process.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
# Who asked for what is for the operator alone. A file that exists keeps its own mode.
_MODE = 0o600


class AuditFile:
    """What bytes are appended to: a file, created where it is lacking, or standard output for `-`."""

    def __init__(self, path: str, *, shared: bool = False) -> None:
        """`shared`: other processes append to it too, so that each write must be whole lines that nothing divides."""
        self._shared = shared
        self._path = None if path == STANDARD_OUTPUT else Path(path)
        self._descriptor: int | None = _STDOUT if self._path is None else None

    def __str__(self) -> str:
        return "standard output" if self._path is None else str(self._path)

    def open(self) -> None:
        """Open it; what was open before is closed, unless this fails. Standard output stays as it is.

        Raises:
            OSError: it cannot be opened.
        """
        if self._path is not None:
            descriptor = os.open(self._path, _FLAGS, _MODE)
            self.close()
            self._descriptor = descriptor

    def follow(self) -> bool:
        """Open it again if its name means another file now, or none. Returns whether it did.

        Raises:
            OSError: it cannot be opened. A file that was only renamed stays open.
        """
        if self._path is None or self._still_named(self._path):
            return False
        self.open()
        return True

    def append(self, data: bytes) -> int:
        """Write `data` behind what is there; how many bytes of it were written, which may be fewer.

        Raises:
            OSError: nothing was written; also where the file is open but was removed, since it could never be read.
        """
        if self._descriptor is None or (self._path is not None and not os.fstat(self._descriptor).st_nlink):
            raise FileNotFoundError
        if self._shared and not is_file(self._descriptor):
            data = data[: at_most_whole_lines(data)]
        return os.write(self._descriptor, data)

    @property
    def torn(self) -> bool:
        """Whether the file ends within a line; for a pipe that is not known, and False."""
        if self._path is None:
            return False
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            found = os.fstat(descriptor)
            if not found.st_size or not stat.S_ISREG(found.st_mode):
                return False
            return os.pread(descriptor, 1, found.st_size - 1) != b"\n"
        except OSError:
            return False
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close it; `open` or `follow` opens it again."""
        if self._path is not None and self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _still_named(self, path: Path) -> bool:
        if self._descriptor is None:
            return False
        try:
            there = path.stat()
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))
