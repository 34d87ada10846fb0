"""A sink that holds every object it is told of, decoded: for resources of which all are wanted."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Generic, TypeVar

from msgspec import Raw

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Cache(Generic[K, V]):
    """A Sink. `decode` turns an object into key and value and raises nothing.

    `tell` is called with the key after each change, and after a list once for each key that changed; a value that is
    equal to the one held is not a change. `keep` may put the old value, or another one, in the place of a new one.
    """

    def __init__(
        self,
        decode: Callable[[Raw], tuple[K, V]],
        tell: Callable[[K], None],
        keep: Callable[[V, V], V] | None = None,
    ) -> None:
        self._decode = decode
        self._tell = tell
        self._keep = keep
        self._items: dict[K, V] = {}
        self._listing: dict[K, V] = {}
        self._synced = False

    @property
    def synced(self) -> bool:
        """Whether the first list was complete."""
        return self._synced

    @property
    def items(self) -> Mapping[K, V]:
        """What is there now; a live view."""
        return MappingProxyType(self._items)

    def start_list(self) -> None:
        """Forget what an earlier, unfinished list has brought; what is held stays until `end_list`."""
        self._listing = {}

    def listed(self, raw: Raw) -> None:
        """Put aside until `end_list`."""
        key, value = self._decode(raw)
        self._listing[key] = self._kept(key, value)

    def end_list(self) -> None:
        """Replace all at once, then tell."""
        old, new = dict(self._items), self._listing
        self._listing = {}
        self._items.clear()
        self._items.update(new)
        self._synced = True
        self._tell_all(key for key in {**new, **old} if key not in old or key not in new or old[key] != new[key])

    def changed(self, raw: Raw) -> None:
        """Hold it, and tell unless it is equal to what was held."""
        key, value = self._decode(raw)
        value = self._kept(key, value)
        same = key in self._items and self._items[key] == value
        self._items[key] = value
        if not same:
            self._tell(key)

    def deleted(self, raw: Raw) -> None:
        """Let go of it."""
        key, _ = self._decode(raw)
        if key in self._items:
            del self._items[key]
            self._tell(key)

    def _kept(self, key: K, value: V) -> V:
        return value if self._keep is None or key not in self._items else self._keep(self._items[key], value)

    def _tell_all(self, keys: Iterable[K]) -> None:
        """Tell of each, even if one raises; that is raised at the end."""
        with ExitStack() as stack:
            for key in reversed(list(keys)):
                stack.callback(self._tell, key)
