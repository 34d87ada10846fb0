"""The store: holds the current Snapshot, and swaps it whole for the next one."""

from __future__ import annotations

from collections.abc import Callable

from connectors.authorities import NONE, Authorities
from connectors.snapshot import EVERYTHING, Objects, Snapshot, Wanted, build


class NoSnapshotError(Exception):
    """Nothing has been loaded yet: a caller that may run that early asks `ready` first."""


class SnapshotStore:
    """One reference, swapped on the event loop. A request reads `current` once and keeps what it got."""

    def __init__(self, wanted: Wanted = EVERYTHING) -> None:
        """`wanted`: what this process has a use for."""
        self._wanted = wanted
        self._current: Snapshot | None = None
        self._subscribers: list[Callable[[Snapshot], None]] = []

    @property
    def ready(self) -> bool:
        """Whether the first complete snapshot serves."""
        return self._current is not None

    @property
    def current(self) -> Snapshot:
        """The snapshot that serves.

        Raises:
            NoSnapshotError: there is none yet.
        """
        if self._current is None:
            raise NoSnapshotError("no snapshot has been loaded yet")
        return self._current

    @property
    def authorities(self) -> Authorities:
        """The CAs of the snapshot that serves; none before there is one."""
        return self._current.authorities if self._current else NONE

    def swap(self, objects: Objects) -> Snapshot:
        """Build the next snapshot, let it serve, and tell the subscribers in the order in which they came."""
        snapshot = build(objects, self._current, self._wanted)
        self._current = snapshot
        for tell in self._subscribers:
            tell(snapshot)
        return snapshot

    def subscribe(self, tell: Callable[[Snapshot], None]) -> None:
        """Call `tell` with every snapshot from the next one on, once it serves."""
        self._subscribers.append(tell)
