"""How many files a piece of work passes: what somebody who follows it has to open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from tests.test_layout import PACKAGES, ROOT

_SOURCES = tuple(f"{ROOT / package}/" for package in PACKAGES)


@contextmanager
def files_passed(task: asyncio.Task[None] | None = None) -> Iterator[set[str]]:
    """The files of this project whose functions are called in the block; in `task` alone, if it is given."""
    files: set[str] = set()

    def see(frame: FrameType, event: str, _: object) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(_SOURCES) and (task is None or asyncio.current_task() is task):
            files.add(path.removeprefix(f"{ROOT}/"))

    sys.setprofile(see)
    try:
        yield files
    finally:
        sys.setprofile(None)
