"""Names of tools -> addresses: one lookup a name at a time, each in a thread of its own.

The event loop's own getaddrinfo shares a handful of threads: a few names whose servers do not answer would keep every
other Connector's lookup waiting.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable

MAX_LOOKUPS = 256
"""Lookups at once. A thread that waits for a name server costs some 50 KiB; so many do not hang by chance."""

Lookup = Callable[[str, int], list[str]]


class TooManyLookupsError(OSError):
    """MAX_LOOKUPS names are being looked up already."""


def look_up(host: str, port: int) -> list[str]:
    """All addresses of `host`, in the order in which they are to be tried (RFC 6724). Blocks.

    Raises:
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class Resolver:
    """Whoever asks for a name that is being looked up waits for that lookup."""

    def __init__(self, lookup: Lookup = look_up) -> None:
        self._lookup = lookup
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`; an address literal is its own answer.

        Raises:
            OSError: the name does not resolve, or too many are being looked up.
        """
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        running = self._running.get((host, port))
        if running is None:
            if len(self._running) >= MAX_LOOKUPS:
                raise TooManyLookupsError(f"{MAX_LOOKUPS} names are being looked up at once")
            running = self._running[host, port] = self._start(host, port)
        # Shielded: one client that leaves does not take the answer from the others.
        return await asyncio.shield(running)

    def _start(self, host: str, port: int) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()

        def work() -> None:
            try:
                answer: list[str] | OSError = self._lookup(host, port)
            except OSError as error:
                answer = error
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "not a name that can be looked up")
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, host, port, answer)

        # A daemon: the process may end while a name server keeps it waiting.
        threading.Thread(target=work, name="lookup", daemon=True).start()
        return future

    def _settle(self, host: str, port: int, answer: list[str] | OSError) -> None:
        future = self._running.pop((host, port))
        if isinstance(answer, OSError):
            future.set_exception(answer)
            # Whoever waited may be gone: an answer that nobody reads is no defect to report.
            future.exception()
        else:
            future.set_result(answer)
