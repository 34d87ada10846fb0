"""What a process holds in memory, as far as the garbage collector can follow it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from types import FrameType

_TEXTS = (bytes, bytearray, str)


def texts() -> Iterator[bytes | bytearray | str]:
    """Every text that some object refers to, but for what the callers' own frames hold."""
    gc.collect()
    seen: set[int] = set()
    objects: list[object] = gc.get_objects()
    ours = {id(objects), id(seen)}
    while objects:
        found = objects.pop()
        if id(found) in seen or id(found) in ours or isinstance(found, FrameType):
            continue
        seen.add(id(found))
        if isinstance(found, _TEXTS):
            yield found
        else:
            objects.extend(gc.get_referents(found))


def holds(what: Callable[[], bytes]) -> list[str]:
    """The texts that hold what `what` makes, in its place a mark: what a failure shows must not be found the next time.

    It is made here, since a test that held it would find itself.
    """
    wanted = what()
    readable = wanted.decode("latin-1")
    found = []
    for text in texts():
        if text is not wanted and text is not readable:
            shown = text if isinstance(text, str) else bytes(text).decode("latin-1")
            if readable in shown:
                found.append(shown.replace(readable, "<found>")[:200])
    return found
