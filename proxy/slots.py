"""Whose client connections there are, and which of them make room for a new one. Pure."""

from __future__ import annotations

import heapq
import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

from proxy.watchdog import NEVER

# Connections that make room at once: those that wait are looked at one by one, and a flood must not cost that for each
# connection of it. nginx closes as many (ngx_drain_connections).
AT_ONCE = 32
# Connections that are closed at one look to free memory: each takes some 20 us.
SHED_AT_ONCE = 512
# Of those that wait, the part that makes room at once.
PART = 8
# Seconds without another look, behind one that found each connection at work.
PAUSE = 0.1
# Connections that may be looked at for each that makes room, and seconds without another look for each beyond. Where
# nearly all are at work, each new one would cost a look at all of them, some ms: 300 a second would stop the loop.
WORTH = 256
LOOK = PAUSE / 4096


class Closed(StrEnum):
    """Why a client connection was closed that had done nothing wrong."""

    MADE_ROOM = "made_room"  # it waited, and a new one came
    NO_ROOM = "no_room"  # it was new, and all others were at work, or belonged to clients with fewer
    CLIENT_LIMIT = "client_limit"  # it was new, and its client had as many as one may have, all of them at work
    MEMORY = "memory"  # the connections hold more together than they may: it was new, or it waited


class Slot(Protocol):
    """A connection that holds a place."""

    @property
    def waits_since(self) -> float:
        """Since when it holds it for nothing but what its client may do (monotonic, seconds); NEVER: a request runs."""

    def make_room(self) -> None:
        """Close."""


def client_of(ip: str) -> str:
    """Whose address that is: an IPv4 address itself, also where it is written as IPv6; of IPv6 the network of 64 bits.

    Those 64 bits are what a site gets at least (RFC 6177), and a single machine there may take any address below.
    """
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ""  # it has gone already
    if isinstance(address, ipaddress.IPv4Address):
        return ip
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


class Slots:
    """Places of client connections, shared out fairly over client addresses.

    Where no place is free, those that wait make room, first of the client that has most connections, and never of one
    that has fewer than the client of the new one. A client that holds all places with connections that ask for nothing
    so only loses its own.
    """

    def __init__(self, limit: int, per_client: int) -> None:
        """`limit`: places; `per_client`: of one client's at most, 0 for as many as there are."""
        self._limit = limit
        self._per_client = per_client
        self._client: dict[Slot, str] = {}
        self._slots: defaultdict[str, set[Slot]] = defaultdict(set)
        # Clients by the number of their connections, so that those with the most are found without looking at all.
        self._levels: defaultdict[int, dict[str, None]] = defaultdict(dict)
        self._looked_until = 0.0
        self._looked_down_to = 0
        self.closed = dict.fromkeys(Closed, 0)
        # Bytes that they hold, as they were counted last.
        self.held = 0

    def __len__(self) -> int:
        """How many places are taken."""
        return len(self._client)

    def take(self, slot: Slot, ip: str, now: float) -> Closed | None:
        """Give a place to a connection that has just come from `ip`, at the monotonic time `now`; or say why not."""
        client = client_of(ip)
        self._move(slot, client)
        own = len(self._slots[client])
        refused: Closed | None = None
        if self._per_client and own > self._per_client and not self._make_room([client], slot):
            refused = Closed.CLIENT_LIMIT
        elif len(self._client) > self._limit and not self._someone_makes_room(own, slot, now):
            refused = Closed.NO_ROOM
        if refused:
            self.leave(slot)
            self.closed[refused] += 1
        return refused

    def shed(self, held: Iterable[tuple[Slot, int]], excess: int) -> int:
        """Close those that wait, first those that hold most, until `excess` bytes are free; how many.

        `held`: each with the bytes that it holds.
        """
        waiting = [(size, id(slot), slot) for slot, size in held if slot in self._client]
        closed = 0
        for size, _, slot in sorted(waiting, reverse=True):
            if excess <= 0 or closed >= SHED_AT_ONCE:
                break
            if slot.waits_since != NEVER:
                self.leave(slot)
                self.closed[Closed.MEMORY] += 1
                slot.make_room()
                excess -= size
                closed += 1
        return closed

    def leave(self, slot: Slot) -> None:
        """It is gone, and has no place any more; no error if it had none."""
        client = self._client.pop(slot, None)
        if client is None:
            return
        slots = self._slots[client]
        self._forget_level(client, len(slots))
        slots.remove(slot)
        if slots:
            self._levels[len(slots)][client] = None
        else:
            del self._slots[client]

    def _move(self, slot: Slot, client: str) -> None:
        slots = self._slots[client]
        if slots:
            self._forget_level(client, len(slots))
        slots.add(slot)
        self._client[slot] = client
        self._levels[len(slots)][client] = None

    def _forget_level(self, client: str, count: int) -> None:
        level = self._levels[count]
        del level[client]
        if not level:
            del self._levels[count]

    def _someone_makes_room(self, at_least: int, new: Slot, now: float) -> bool:
        """Of the clients with the most, down to those with `at_least` as many."""
        if now < self._looked_until and at_least >= self._looked_down_to:
            return False
        looked = closed = 0
        for count in sorted((count for count in self._levels if count >= at_least), reverse=True):
            looked += count * len(self._levels[count])
            if closed := self._make_room(self._levels[count], new):
                break
        pause = (looked - WORTH * closed) * LOOK if closed else PAUSE
        if pause > 0.0:
            self._looked_until, self._looked_down_to = now + pause, at_least
        return closed > 0

    def _make_room(self, clients: Iterable[str], new: Slot) -> int:
        """Close those of these clients that have waited longest; how many."""
        waiting = [(since, id(slot), slot) for since, slot in self._waiting(clients) if slot is not new]
        longest = heapq.nsmallest(min(AT_ONCE, max(1, len(waiting) // PART)), waiting)
        for _, _, slot in longest:
            self.leave(slot)
            self.closed[Closed.MADE_ROOM] += 1
            slot.make_room()
        return len(longest)

    def _waiting(self, clients: Iterable[str]) -> Iterator[tuple[float, Slot]]:
        for client in clients:
            for slot in self._slots[client]:
                if (since := slot.waits_since) != NEVER:
                    yield since, slot
