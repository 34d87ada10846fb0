"""How much the product does for a request: calls of its own functions, which no busy machine changes, as times are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_ROOT = Path(__file__).resolve().parent.parent.parent
_PRODUCT = tuple(f"{_ROOT / name}/" for name in ("connectors", "proxy"))
_TIMED = tuple(f"{_ROOT / name}.py" for name in ("proxy/watchdog", "proxy/audit/access_log"))
"""What timers call in between, the more of it the busier the machine is."""


class Work:
    """`calls` grows while it is counted."""

    def __init__(self) -> None:
        self.calls = 0

    def _event(self, frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(_PRODUCT) and path not in _TIMED:
            self.calls += 1


@contextmanager
def counted() -> Iterator[Work]:
    """Count in this thread for the length of a block."""
    work = Work()
    before = sys.getprofile()
    sys.setprofile(work._event)
    try:
        yield work
    finally:
        sys.setprofile(before)
