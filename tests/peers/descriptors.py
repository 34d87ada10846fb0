"""The open descriptors of this process, so that a test can say which it has left behind."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def descriptors() -> frozenset[tuple[str, str]]:
    """Number and target of each. Look at what has come: others may be closed in between, by the garbage collector."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # that of the listing itself
            found.add((entry.name, str(entry.readlink())))
    return frozenset(found)
