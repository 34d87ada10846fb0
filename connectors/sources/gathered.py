"""Changes on their way to several processes: put together for one that does not keep up, everything for a new one.

What waits for a process never holds more than one thing a name, however long that process does not take it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import TypeVar, cast

from connectors.snapshot import Changes
from connectors.sources.store import SnapshotStore

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Gathered:
    """Changes put together: the last one of a name counts, so it never holds more than one change a name."""

    def __init__(self, *, all_there_is: bool = False) -> None:
        """`all_there_is`: what is gone is left out, since nothing is known before that it would end."""
        self._all = all_there_is
        self._held = _empty()

    def __len__(self) -> int:
        """How many Connectors have changes."""
        return len(self._held.connectors)

    def add(self, changes: Changes) -> None:
        """Add changes that came after those added before."""
        held = self._held
        self._put(held.connectors, changes.connectors)
        self._put(held.classes, changes.classes)
        self._put(held.secrets, changes.secrets)
        self._put(held.malformed, changes.malformed)
        self._put(held.unread, changes.unread)
        for name in ("flags", "authorities", "api_server", "own_addresses", "logins"):
            if (value := getattr(changes, name)) is not None:
                held = replace(held, **{name: value})
        self._held = held

    def changes(self) -> Changes:
        """All of it as one value, which later changes do not touch."""
        held = self._held
        return replace(
            held,
            connectors=dict(held.connectors),
            classes=dict(held.classes),
            secrets=dict(held.secrets),
            malformed=dict(held.malformed),
            unread=dict(held.unread),
        )

    def take(self) -> Changes:
        """The same, and begin again with nothing."""
        taken, self._held = self._held, _empty()
        return taken

    def _put(self, held: Mapping[Key, Value], new: Mapping[Key, Value]) -> None:
        # Only these are known to be this object's own dicts (_empty), which it may change.
        own = cast("dict[Key, Value]", held)
        for key, value in new.items():
            if self._all and (value is None or value == ""):
                own.pop(key, None)
            else:
                own[key] = value


def _empty() -> Changes:
    return Changes({}, {}, {}, None, {}, {})


class Recipient:
    """One process that is told of changes, whenever it has taken those before."""

    def __init__(self, known: Changes, generation: int) -> None:
        self._waiting = Gathered()
        self._generation = 0
        self._news = asyncio.Event()
        if generation:
            self.add(known, generation)

    def add(self, changes: Changes, generation: int) -> None:
        """Note the changes that made the snapshot of that generation."""
        self._waiting.add(changes)
        self._generation = generation
        self._news.set()

    async def next(self) -> tuple[int, Changes]:
        """The generation that is to serve next, and what has changed since the last call; waits until something has."""
        await self._news.wait()
        self._news.clear()
        return self._generation, self._waiting.take()


class Recipients:
    """Hears what a store serves, and tells each recipient; made before the store has a snapshot."""

    def __init__(self, store: SnapshotStore, on_news: Callable[[Changes], None]) -> None:
        """`on_news` hears of all changes too, behind the recipients."""
        # That of the snapshot that serves here, 0 before there is one.
        self.generation = 0
        self._on_news = on_news
        self._known = Gathered(all_there_is=True)
        self._recipients: set[Recipient] = set()
        store.hear(self._heard)

    def join(self) -> Recipient:
        """Add a recipient, and tell it of all objects first."""
        recipient = Recipient(self._known.changes(), self.generation)
        self._recipients.add(recipient)
        return recipient

    def leave(self, recipient: Recipient) -> None:
        """Remove a recipient."""
        self._recipients.discard(recipient)

    def _heard(self, changes: Changes, generation: int) -> None:
        self.generation = generation
        self._known.add(changes)
        for recipient in self._recipients:
            recipient.add(changes, generation)
        self._on_news(changes)
