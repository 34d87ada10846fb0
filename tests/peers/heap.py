"""What a process holds in memory, as far as the garbage collector can follow it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType

_TEXTS = (bytes, bytearray, str)
_THE_PROGRAMS = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


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


def reachable(*roots: object, shared: tuple[type, ...] = ()) -> Iterator[object]:
    """Each object once that they hold, but for the program's own and what lies behind objects of the types `shared`."""
    seen: set[int] = set()
    following = list(roots)
    while following:
        found = following.pop()
        if id(found) in seen or isinstance(found, _THE_PROGRAMS + shared):
            continue
        seen.add(id(found))
        yield found
        following += gc.get_referents(found)


def bytes_of(*roots: object, shared: tuple[type, ...] = ()) -> int:
    """Bytes of memory that they and all that they hold take."""
    return sum(sys.getsizeof(found) for found in reachable(*roots, shared=shared))


def texts_with(canary: bytes, *roots: object) -> list[bytes | bytearray | str]:
    """The texts among what they hold in which `canary` stands."""
    texts = [found for found in reachable(*roots) if isinstance(found, _TEXTS)]
    return [text for text in texts if canary in (text.encode() if isinstance(text, str) else text)]
