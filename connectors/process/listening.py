"""One listening socket for several processes: bound once, inherited, and accepted from in equal shares.

Without SO_REUSEPORT: with it any program of the same user could bind the port too, and get a part of the connections.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Sequence

from connectors.process.parsers import EVERYWHERE

# Seconds that a process leaves the queue to others, when it has more connections than one of them: on a busy machine it
# takes some milliseconds until those run.
STEP_BACK = 0.005
# Connections that are accepted at most behind a step back in which no other process came. One behind the first, twice
# as many behind each further one: others may be held up for a moment, or for long, and then the queue must not wait.
AT_ONCE = 64
# Seconds without accepting if no descriptor is left (EMFILE): the socket stays readable, and to try again at once would
# take all the CPU. asyncio waits as long (ACCEPT_RETRY_DELAY).
PAUSE = 1.0
# The count of a process that does not run.
ABSENT = 0xFFFFFFFF

_COUNT = struct.Struct("=I")

# How often a port of the kernel's choice is looked for that is free in both families.
_TRIES = 10
# What a kernel says of a family that it was built or started without, or that is switched off (ipv6.disable,
# net.ipv6.conf.all.disable_ipv6).
_NO_SUCH_FAMILY = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


async def listen(host: str, port: int, backlog: int = 128) -> list[socket.socket]:
    """Listen on each address of `host`, as asyncio's create_server does; port 0 lets the kernel choose.

    `host` EVERYWHERE: on all addresses of both families, each with a socket of its own, so that no IPv4 client has an
    IPv6 address (RFC 4291 section 2.5.5.2); of one family, where the kernel has no other.

    Raises:
        OSError: an address cannot be listened on; then none is.
    """
    if host == EVERYWHERE:
        return _everywhere(port, backlog)
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listeners: list[socket.socket] = []
    lacking: OSError | None = None
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            try:
                made = socket.socket(family, kind, protocol)
            except OSError as error:
                # The name may have an IPv6 address that this kernel knows nothing of.
                lacking = error
            else:
                listeners.append(_listening(made, address, backlog))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    if lacking and not listeners:
        raise lacking
    return listeners


def _everywhere(port: int, backlog: int) -> list[socket.socket]:
    for _ in range(_TRIES - 1 if port == 0 else 0):
        try:
            return _both_families(port, backlog)
        except OSError as error:
            # Another program has the port in the other family.
            if error.errno != errno.EADDRINUSE:
                raise
    return _both_families(port, backlog)


def _both_families(port: int, backlog: int) -> list[socket.socket]:
    listeners: list[socket.socket] = []
    lacking: OSError | None = None
    for family, address in ((socket.AF_INET6, EVERYWHERE), (socket.AF_INET, "0.0.0.0")):  # noqa: S104 - as asked for
        try:
            listener = _listening(socket.socket(family, socket.SOCK_STREAM), (address, port), backlog)
        except OSError as error:
            if error.errno not in _NO_SUCH_FAMILY:
                for made in listeners:
                    made.close()
                raise
            lacking = error
        else:
            listeners.append(listener)
            port = listener.getsockname()[1]
    if lacking and not listeners:
        raise lacking
    return listeners


def _listening(listener: socket.socket, address: Sequence[object], backlog: int) -> socket.socket:
    try:
        # An earlier connection in TIME_WAIT must not keep the port; another listener still does.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(tuple(address))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


class Counts:
    """How many connections each process has: numbers alone, in memory that all have mapped and no name leads to.

    Each writes its own and reads the others'. A number is one aligned word, written in one store; one that is a moment
    old costs a step back more or less, and nothing else.
    """

    def __init__(self, descriptor: int, number: int) -> None:
        """`number` of processes. `descriptor` stays the caller's."""
        self.descriptor = descriptor
        self._number = number
        self._map = mmap.mmap(descriptor, number * _COUNT.size)

    @classmethod
    def make(cls, number: int) -> Counts:
        """New ones, of processes that are not there yet."""
        if sys.platform == "linux":
            descriptor = os.memfd_create("connections", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, number * _COUNT.size)
        counts = cls(descriptor, number)
        for process in range(number):
            counts.set(process, ABSENT)
        return counts

    def set(self, process: int, count: int) -> None:
        """Write how many connections this process has."""
        _COUNT.pack_into(self._map, process * _COUNT.size, count)

    def of(self, process: int) -> int:
        """How many it has; ABSENT where it is not there."""
        (count,) = _COUNT.unpack_from(self._map, process * _COUNT.size)
        return int(count)

    def others(self, process: int) -> dict[int, int]:
        """How many the others have, by their numbers."""
        return {other: self.of(other) for other in range(self._number) if other != process}


class Shared:
    """What one of several processes knows of a listener: its sockets, and its own number among `counts`."""

    def __init__(self, listeners: Sequence[socket.socket], counts: Counts, process: int) -> None:
        self.listeners = listeners
        self.counts = counts
        self.process = process


class Acceptor:
    """Accepts from shared sockets, no more than this process's share.

    The loops' own servers take what they can get: of 64 connections at once one process got 59.
    """

    def __init__(self, shared: Shared, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self._shared = shared
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._connecting: set[asyncio.Task[object]] = set()
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}
        # Those that had fewer connections when the queue was last left to them, and how many at once to take if they do
        # not come.
        self._fewer: dict[int, int] = {}
        self._alone = 1
        self._open = 0
        self._closed = False

    def start(self) -> None:
        """Begin to accept."""
        self._tell()
        for listener in self._shared.listeners:
            self._loop.add_reader(listener, self._ready, listener)

    def close(self) -> None:
        """Stop accepting; what another process accepts is not touched."""
        self._closed = True
        self._shared.counts.set(self._shared.process, ABSENT)
        for timer in self._timers.values():
            timer.cancel()
        for listener in self._shared.listeners:
            self._loop.remove_reader(listener)
            listener.close()

    async def connected(self) -> None:
        """Wait until each connection that was accepted has its protocol."""
        if self._connecting:
            await asyncio.wait(self._connecting)

    def gone(self) -> None:
        """One of the accepted connections has ended."""
        self._open -= 1
        self._tell()

    def _ready(self, listener: socket.socket) -> None:
        others = self._shared.counts.others(self._shared.process)
        fewer = {process: count for process, count in others.items() if count < self._open}
        if fewer != self._fewer:
            self._fewer, self._alone = fewer, 1
        if fewer:
            self._later(listener, STEP_BACK)
        else:
            self._accept(listener)

    def _accept(self, listener: socket.socket) -> bool:
        """Whether there was a connection to accept."""
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError:
            self._later(listener, PAUSE)
            return False
        connection.setblocking(False)
        self._open += 1
        self._tell()
        connecting = self._loop.create_task(self._connect(connection))
        # The loop refers to tasks weakly.
        self._connecting.add(connecting)
        connecting.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # it was reset before there was anything to say
            self.gone()

    def _later(self, listener: socket.socket, seconds: float) -> None:
        self._loop.remove_reader(listener)
        self._timers[listener] = self._loop.call_later(seconds, self._again, listener)

    def _again(self, listener: socket.socket) -> None:
        del self._timers[listener]
        # Only the processes that the queue was left to count: busy ones begin and end connections all the time.
        if all(self._shared.counts.of(process) <= count for process, count in self._fewer.items()):
            for _ in range(self._alone):
                if not self._accept(listener):
                    break
            self._alone = min(2 * self._alone, AT_ONCE)
        if listener not in self._timers:
            self._loop.add_reader(listener, self._ready, listener)

    def _tell(self) -> None:
        if self._closed:
            # It accepts no more; with its count left in place, others would step back for it until it ends.
            return
        self._shared.counts.set(self._shared.process, max(self._open, 0))
