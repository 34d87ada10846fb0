"""Ports that no connection of another test can have: a test may listen there at several addresses, or a second time.

A port that the kernel chose is one of those that it also gives to connections: once a test lets it go, or wants it at
a second address, some other connection on the machine may be there.
"""

from __future__ import annotations

import errno
import random
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

_GIVEN = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
"""From here on the kernel gives ports to connections."""
_NUMBERS = random.SystemRandom()
"""Not the random numbers of the tests: these begin with the same seed in each of several processes."""


def bound(*ips: str) -> list[socket.socket]:
    """Sockets bound to one TCP port at each of these addresses; they refuse connections until `listen` is called."""
    while True:
        port = _NUMBERS.randrange(_GIVEN // 3, _GIVEN)
        with ExitStack() as taken, suppress(_InUseError):
            made = [taken.enter_context(_bound(ip, port)) for ip in ips]
            taken.pop_all()
            return made


class _InUseError(Exception):
    """A socket of another process or test has this port."""


def _bound(ip: str, port: int) -> socket.socket:
    # Asyncio's own loop turns Nagle's algorithm off for sockets that name TCP alone; with it the second piece of an
    # answer waits 40 ms, until the first is acknowledged.
    made = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.bind((ip, port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise _InUseError from None
        raise
    # Only from now on: two sockets with this option could both be bound to the port, and the second not listen. What
    # is accepted has it too, so that a later listener can have the port while old connections are on their way out.
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
