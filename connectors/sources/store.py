"""The store: holds the current Snapshot, and swaps it whole for the next one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from itertools import chain

from connectors.inventory import Inventory
from connectors.objects.connector import Connector, ConnectorKey
from connectors.snapshot import EVERYTHING, Changes, Objects, Snapshot, Wanted
from connectors.trust import NONE, Authorities

# Seconds of work after which everything else has its turn: requests wait no longer for a snapshot to be made.
SLICE = 0.005

# With more steps of work than this, a snapshot counts as one of many changes.
LARGE = 1000

# What is called with a snapshot. The steps that it may return are for work that grows with what has changed.
Tell = Callable[[Snapshot], Iterator[None] | None]

# What is called with the changes that a snapshot was made of, and its generation, once it serves.
Hear = Callable[[Changes, int], None]


class NoSnapshotError(Exception):
    """Nothing has been loaded yet: a caller that may run that early asks `ready` first."""


class SnapshotStore:
    """One reference, swapped on the event loop. A request reads `current` once and keeps what it got."""

    def __init__(
        self,
        wanted: Wanted = EVERYTHING,
        clock: Callable[[], float] = time.monotonic,
        large: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`wanted`: what this process has a use for. `clock` gives seconds, to know when a slice of work is over.

        `large` is entered once a snapshot turns out to be of many changes, until it serves.
        """
        self._large = large
        self._inventory = Inventory(wanted)
        self._clock = clock
        # The snapshot that serves, if there is one yet; only this class sets it.
        self.serves: Snapshot | None = None
        self._subscribers: list[Tell] = []
        self._hearers: list[Hear] = []
        # Taken, and not told yet: what a call that was cut off has taken is in the next snapshot.
        self._untold: list[Changes] = []

    @property
    def ready(self) -> bool:
        """Whether the first complete snapshot serves."""
        return self.serves is not None

    @property
    def current(self) -> Snapshot:
        """The snapshot that serves.

        Raises:
            NoSnapshotError: there is none yet.
        """
        if self.serves is None:
            raise NoSnapshotError("no snapshot has been loaded yet")
        return self.serves

    @property
    def authorities(self) -> Authorities:
        """The CAs of the snapshot that serves; none before there is one."""
        return self.serves.authorities if self.serves else NONE

    @property
    def connectors(self) -> int:
        """How many Connectors there are, the invalid ones too."""
        return self._inventory.count

    def connector(self, key: ConnectorKey) -> Connector | None:
        """The Connector as the last snapshot has it, or as the next one will."""
        return self._inventory.connector(key)

    async def follow(self, news: Changes | Objects) -> Snapshot:
        """Make the next snapshot of changes, or of all that there is now, a slice at a time, and let it serve.

        The one before serves meanwhile. One call at a time: what changes meanwhile comes with the next one.
        """
        self._take(news if isinstance(news, Changes) else self._inventory.difference(news))
        with ExitStack() as stack:
            await self._in_slices(self._noticing(self._inventory.work(), stack))
            snapshot = self._inventory.snapshot()
            await self._in_slices(self._serve(snapshot))
            return snapshot

    def swap(self, objects: Objects) -> Snapshot:
        """The same in one piece, from all objects."""
        self._take(self._inventory.difference(objects))
        snapshot = self._inventory.made()
        for _ in self._serve(snapshot):
            pass
        return snapshot

    def subscribe(self, tell: Tell) -> None:
        """Call `tell` with every snapshot from the next one on, once it serves, in the order of subscriptions.

        What it returns is worked off afterwards, a slice at a time too.
        """
        self._subscribers.append(tell)

    def hear(self, hear: Hear) -> None:
        """Call `hear` with all that has changed, from the next snapshot on, and before those who subscribed.

        What hears from the first snapshot on knows everything that serves, and nothing that does not serve yet.
        """
        self._hearers.append(hear)

    async def join(self, tell: Tell) -> None:
        """The same, for one that is told of the snapshot that serves already.

        Raises:
            NoSnapshotError: there is none yet.
        """
        steps = tell(self.current)
        self._subscribers.append(tell)
        await self._in_slices(steps or iter(()))

    def _take(self, changes: Changes) -> None:
        self._inventory.take(changes)
        if self._hearers:
            self._untold.append(changes)

    def _serve(self, snapshot: Snapshot) -> Iterator[None]:
        self.serves = snapshot
        untold, self._untold = self._untold, []
        for changes in untold:
            for hear in self._hearers:
                hear(changes, snapshot.generation)
        steps = [tell(snapshot) for tell in self._subscribers]
        return chain.from_iterable(each for each in steps if each is not None)

    def _noticing(self, steps: Iterator[None], stack: ExitStack) -> Iterator[None]:
        for number, _ in enumerate(steps):
            if number == LARGE:
                stack.enter_context(self._large())
            yield

    async def _in_slices(self, steps: Iterator[None]) -> None:
        begun = self._clock()
        for _ in steps:
            if self._clock() - begun >= SLICE:
                await asyncio.sleep(0)
                begun = self._clock()
