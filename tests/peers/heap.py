"""What a process holds in memory, as far as the garbage collector can follow it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FrameType, FunctionType, MethodType, ModuleType

_TEXTS = (bytes, bytearray, str)
_HARNESS = ("_pytest.", "pytest_asyncio.", "pluggy.", "xdist.")
_THE_PROGRAMS = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


def begin() -> None:
    """From now on `texts` looks for what comes, and through all that modules hold.

    Else it would visit the thousands of tests that pytest has collected again and again, which takes ten times as long.
    """
    gc.collect()
    gc.freeze()


def texts() -> Iterator[bytes | bytearray | str]:
    """Every text that some object refers to, but for what the callers' own frames hold.

    Behind `begin` what is older is followed from the modules alone, and what is pytest's is not followed: an old table
    of a module or an old cache is looked through, the tests to come are not.
    """
    gc.collect()
    left_out = _LeftOut()
    layer: list[object] = [found for found in gc.get_objects() if not left_out[type(found)]]
    layer += [vars(module) for module in list(sys.modules.values())]
    seen = set(map(id, layer))
    while layer:
        # A whole layer in one call: most of the millions of references of a test run lead to what was seen before.
        referred = gc.get_referents(*layer)
        layer = []
        for found in referred:
            if id(found) in seen:
                continue
            seen.add(id(found))
            if isinstance(found, _TEXTS):
                yield found
            elif not left_out[type(found)]:
                layer.append(found)


class _LeftOut(dict[type, bool]):
    """Whether objects of a type are not followed: frames, and what is pytest's."""

    def __missing__(self, kind: type) -> bool:
        # A fixture's request leads to the session, and that to every test there is.
        self[kind] = issubclass(kind, FrameType) or str(kind.__module__).startswith(_HARNESS)
        return self[kind]


def holds(what: Callable[[], bytes]) -> list[str]:
    """The texts that hold what `what` makes, in its place a mark: what a failure shows must not be found the next time.

    It is made here, since a test that held it would find itself.
    """
    wanted = what()
    readable = wanted.decode("latin-1")
    found = []
    for text in texts():
        if text is not wanted and text is not readable:
            if isinstance(text, str):
                if readable in text:
                    found.append(text.replace(readable, "<found>")[:200])
            elif wanted in text:
                found.append(text.decode("latin-1").replace(readable, "<found>")[:200])
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
