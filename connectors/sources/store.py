"""The store: holds the current Snapshot, and swaps it whole for the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from connectors.authorities import NONE, Authorities
from connectors.inventory import Inventory
from connectors.model.connector import Connector, ConnectorKey
from connectors.snapshot import EVERYTHING, Changes, Objects, Snapshot, Wanted

SLICE = 0.005
"""Seconds of work after which everything else has its turn: a request waits no longer for a snapshot that is made."""


class NoSnapshotError(Exception):
    """Nothing has been loaded yet: a caller that may run that early asks `ready` first."""


class SnapshotStore:
    """One reference, swapped on the event loop. A request reads `current` once and keeps what it got."""

    def __init__(self, wanted: Wanted = EVERYTHING, clock: Callable[[], float] = time.monotonic) -> None:
        """`wanted`: what this process has a use for. `clock` gives seconds, to know when a slice of work is over."""
        self._inventory = Inventory(wanted)
        self._clock = clock
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

    def connector(self, key: ConnectorKey) -> Connector | None:
        """The Connector of which the last snapshot was made, or the next one is being made."""
        return self._inventory.connector(key)

    async def follow(self, changes: Changes) -> Snapshot:
        """Make the next snapshot of these changes, a slice at a time, and let it serve.

        The one before serves meanwhile. One call at a time: what changes meanwhile comes with the next one.
        """
        self._inventory.take(changes)
        begun = self._clock()
        for _ in self._inventory.work():
            if self._clock() - begun >= SLICE:
                await asyncio.sleep(0)
                begun = self._clock()
        return self._serve(self._inventory.snapshot())

    def swap(self, objects: Objects) -> Snapshot:
        """The same in one piece, where these objects are all that there is."""
        return self._serve(self._inventory.build(objects))

    def subscribe(self, tell: Callable[[Snapshot], None]) -> None:
        """Call `tell` with every snapshot from the next one on, once it serves, in the order of subscriptions."""
        self._subscribers.append(tell)

    def _serve(self, snapshot: Snapshot) -> Snapshot:
        self._current = snapshot
        for tell in self._subscribers:
            tell(snapshot)
        return snapshot
