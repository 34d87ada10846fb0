"""Who refers to what, in both directions of one kind of reference: an index that costs what changes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from typing import Generic, TypeVar

from connectors.model.connector import ConnectorKey

To = TypeVar("To", bound=Hashable)


class Referrers(Generic[To]):
    """The Connectors that refer to each of some things, each to one at most."""

    __slots__ = ("_from",)

    def __init__(self) -> None:
        # Most Secrets have one referrer, and a set for one is five times as large as a tuple.
        self._from: dict[To, tuple[ConnectorKey, ...] | set[ConnectorKey]] = {}

    def __contains__(self, to: To) -> bool:
        return to in self._from

    def __iter__(self) -> Iterator[To]:
        return iter(self._from)

    def of(self, to: To) -> Collection[ConnectorKey]:
        """Those that refer to it."""
        return self._from.get(to, ())

    def add(self, to: To, key: ConnectorKey) -> None:
        """`key` refers to it from now on."""
        found = self._from.get(to)
        if found is None:
            self._from[to] = (key,)
        elif isinstance(found, set):
            found.add(key)
        elif key not in found:
            self._from[to] = {*found, key}

    def remove(self, to: To, key: ConnectorKey) -> None:
        """`key` does so no more."""
        found = self._from.get(to)
        if isinstance(found, set):
            found.discard(key)
            if not found:
                del self._from[to]
        elif found == (key,):
            del self._from[to]
