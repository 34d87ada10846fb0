"""What an object holds: everything that the garbage collector can reach from it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What belongs to the program."""


def reachable(*roots: object, leave: Iterable[object] = (), shared: tuple[type, ...] = ()) -> list[object]:
    """Each object once; what is of the types `shared`, or is or lies behind one of `leave`, is left out."""
    seen = {id(item) for item in leave}
    found: list[object] = []
    following = list(roots)
    while following:
        item = following.pop()
        if id(item) in seen or isinstance(item, _SHARED + shared):
            continue
        seen.add(id(item))
        found.append(item)
        following += gc.get_referents(item)
    return found


def bytes_of(*roots: object, leave: Iterable[object] = (), shared: tuple[type, ...] = ()) -> int:
    """Bytes of memory that they and all that they hold take."""
    return sum(sys.getsizeof(item) for item in reachable(*roots, leave=leave, shared=shared))


def texts_with(canary: bytes, *roots: object) -> list[object]:
    """The bytes and texts among what they hold in which `canary` stands."""

    def holds(item: object) -> bool:
        raw = item.encode("latin-1", "replace") if isinstance(item, str) else item
        return isinstance(raw, bytes | bytearray) and canary in raw

    return [item for item in reachable(*roots) if holds(item)]
