"""Memory of this process: what its container may have, what it takes now, and how free memory is given back."""

from __future__ import annotations

import ctypes
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, cast

# A limit of version 1 that means none: LONG_MAX, down to a page.
_NONE: Final = 1 << 60

logger = logging.getLogger(__name__)


def container_limit(root: Path = Path("/")) -> int:
    """Bytes that this process's control group and those above it may have, of either version of cgroups; 0: no limit.

    `root` is where `proc` and `sys` are.
    """
    return min((limit for limit in _limits(root) if 0 < limit < _NONE), default=0)


def _limits(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        # hierarchy-ID:controller-list:cgroup-path (cgroups(7)); of version 2 the list is empty.
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            mount, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            mount, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        folder = Path(path.lstrip("/"))
        # In a container the path may be the host's, and what is mounted is its own group alone: the last of these.
        for group in (folder, *folder.parents):
            text = _text(mount / group / name).strip()
            yield int(text) if text.isdigit() else 0


def resident() -> int:
    """Bytes of memory that this process takes now; 0 where that cannot be known."""
    sizes = _text(Path("/proc/self/statm")).split()
    return int(sizes[1]) * 4096 if len(sizes) > 1 else 0


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def give_back() -> None:
    """Give free memory back to the kernel, where the C library is glibc: by itself it gives back what lies at the end.

    It takes as long as the kernel takes to clear it: some ms for 100 MiB.
    """
    if _TRIM is not None:
        began = time.monotonic()
        _TRIM(0)
        logger.debug("gave back memory in %.1f ms", (time.monotonic() - began) * 1000)


def _trim() -> Callable[[int], int] | None:
    """malloc_trim(3); None in musl and elsewhere."""
    try:
        return cast("Callable[[int], int]", ctypes.CDLL(None).malloc_trim)
    except (AttributeError, OSError):
        return None


_TRIM: Final = _trim()
