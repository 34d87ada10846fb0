"""Names of tools -> addresses: one lookup a name at a time, each in a thread of its own.

The event loop's own getaddrinfo shares a handful of threads: a few names whose servers do not answer would keep every
other Connector's lookup waiting.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

# Lookups at once. A thread that waits for a name server costs some 50 KiB; so many do not hang by chance.
MAX_LOOKUPS = 256

# Answers that are kept. A cluster has fewer tools than that.
MAX_CACHED = 4096

Lookup = Callable[[str, int], list[str]]


@functools.lru_cache(maxsize=MAX_CACHED)
def literal(host: str) -> str | None:
    """The IP address that `host` is, in its usual form; None for a name."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None


class TooManyLookupsError(OSError):
    """MAX_LOOKUPS names are being looked up already."""


def look_up(host: str, port: int) -> list[str]:
    """All addresses of `host`, in the order in which they are to be tried (RFC 6724). Blocks.

    Raises:
        OSError: the name does not resolve.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class _Answer(NamedTuple):
    addresses: list[str]
    expires: float


class NameResolver:
    """A caller that asks for a name that is being looked up waits for that lookup. Failures are never kept."""

    def __init__(
        self, lookup: Lookup = look_up, cache: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`cache`: for how many seconds an answer counts; 0: only for those who are waiting for it."""
        self._lookup = lookup
        self._cache = cache
        self._monotonic = monotonic
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._answers: dict[tuple[str, int], _Answer] = {}

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`; an address literal is its own answer.

        Raises:
            OSError: the name does not resolve, or too many are being looked up.
        """
        if own := literal(host):
            return [own]
        known = self._answers.get((host, port))
        if known is not None and self._monotonic() < known.expires:
            return list(known.addresses)
        running = self._running.get((host, port))
        if running is None:
            if len(self._running) >= MAX_LOOKUPS:
                raise TooManyLookupsError(f"{MAX_LOOKUPS} names are being looked up at once")
            running = self._running[host, port] = self._start(host, port)
        # Shielded: one client that leaves does not take the answer from the others. Each gets a list of its own: one
        # must not change what another has judged.
        return list(await asyncio.shield(running))

    def forget(self, host: str, port: int) -> None:
        """Forget the answer, since nothing answered at these addresses: the next caller looks the name up again."""
        self._answers.pop((host, port), None)

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
            # The callers that waited may be gone: an answer that none of them reads is not a defect to report.
            future.exception()
        else:
            self._keep(host, port, answer)
            future.set_result(answer)

    def _keep(self, host: str, port: int, answer: list[str]) -> None:
        if not self._cache:
            return
        now = self._monotonic()
        if len(self._answers) >= MAX_CACHED:
            self._answers = {name: known for name, known in self._answers.items() if now < known.expires}
        if len(self._answers) < MAX_CACHED:
            self._answers[host, port] = _Answer(list(answer), now + self._cache)
