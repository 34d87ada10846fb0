"""Names of tools -> addresses: one lookup a name at a time, each in a thread of its own, shared fairly over namespaces.

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
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

# Lookups at once. A thread that waits for a name server costs some 50 KiB; so many do not hang by chance. A namespace
# that has none may begin one all the same.
MAX_LOOKUPS = 256
# Lookups of one namespace that wait. It has no more names than its Connectors declare.
MAX_WAITING = 1024

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
    """MAX_WAITING names of the namespace wait to be looked up already."""


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


Name = tuple[str, int]


class _Lookup:
    """One name that is looked up, or will be; `wanted` by so many."""

    __slots__ = ("future", "wanted")

    def __init__(self) -> None:
        self.future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self.wanted = 0


class NameResolver:
    """A caller that asks for a name that is being looked up waits for that lookup. Failures are never kept."""

    def __init__(
        self,
        lookup: Lookup = look_up,
        cache: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
        of_namespace: int = 32,
    ) -> None:
        """`cache`: seconds that an answer counts; 0: for those who wait for it, and no longer.

        `of_namespace`: lookups at once of one namespace, whose names may all be of servers that do not answer; more
        wait for those before.
        """
        self._of_namespace = of_namespace
        self._lookup = lookup
        self._cache = cache
        self._monotonic = monotonic
        # Those that have begun, by name, and how many of them each namespace has begun.
        self._running: dict[Name, _Lookup] = {}
        self._begun: Counter[str] = Counter()
        # Those that wait, by namespace, in the order in which namespaces have their turn.
        self._waiting: dict[str, dict[Name, _Lookup]] = {}
        self._answers: dict[Name, _Answer] = {}

    async def addresses(self, host: str, port: int, namespace: str = "") -> list[str]:
        """The addresses of `host`; an address literal is its own answer. `namespace`: of the Connector that asks.

        Raises:
            OSError: the name does not resolve, or too many wait to be looked up.
        """
        if own := literal(host):
            return [own]
        known = self._answers.get((host, port))
        if known is not None and self._monotonic() < known.expires:
            return list(known.addresses)
        lookup = self._lookup_of((host, port), namespace)
        lookup.wanted += 1
        try:
            # Shielded: one client that leaves does not take the answer from the others. A list of its own for each:
            # none changes what another has judged.
            return list(await asyncio.shield(lookup.future))
        finally:
            lookup.wanted -= 1

    def _lookup_of(self, name: Name, namespace: str) -> _Lookup:
        """The lookup to wait for: one that runs, also for another namespace, or an own one that waits."""
        if running := self._running.get(name):
            return running
        waiting = self._waiting.get(namespace, {})
        if found := waiting.get(name):
            return found
        if self._may_begin(namespace):
            return self._begin(name, namespace, _Lookup())
        if len(waiting) >= MAX_WAITING:
            raise TooManyLookupsError(f"{MAX_WAITING} names of {namespace} wait to be looked up")
        lookup = waiting[name] = _Lookup()
        self._waiting[namespace] = waiting
        return lookup

    def _may_begin(self, namespace: str) -> bool:
        begun = self._begun[namespace]
        return not begun or (begun < self._of_namespace and len(self._running) < MAX_LOOKUPS)

    def forget(self, host: str, port: int) -> None:
        """Forget the answer, since nothing answered at these addresses: the next caller looks the name up again."""
        self._answers.pop((host, port), None)

    def _begin(self, name: Name, namespace: str, lookup: _Lookup) -> _Lookup:
        loop = asyncio.get_running_loop()
        self._running[name] = lookup
        self._begun[namespace] += 1

        def work() -> None:
            try:
                answer: list[str] | OSError = self._lookup(*name)
            except OSError as error:
                answer = error
            except UnicodeError:
                answer = socket.gaierror(socket.EAI_NONAME, "not a name that can be looked up")
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._settle, name, namespace, answer)

        try:
            # A daemon: the process may end while a name server keeps it waiting.
            threading.Thread(target=work, name="lookup", daemon=True).start()
        except RuntimeError:
            # The container has as many threads as it may (its pids limit). Settled later, as any other failure is: the
            # caller begins to wait only now, and the place must be given back.
            loop.call_soon(self._settle, name, namespace, OSError("no thread is left to look a name up in"))
        return lookup

    def _settle(self, name: Name, namespace: str, answer: list[str] | OSError) -> None:
        lookup = self._running.pop(name)
        self._begun[namespace] -= 1
        if not self._begun[namespace]:
            del self._begun[namespace]
        if not isinstance(answer, OSError):
            self._keep(*name, answer)
        _tell(lookup, answer)
        # Another namespace may have waited for the same name.
        for waiting in self._waiting.values():
            if same := waiting.pop(name, None):
                _tell(same, answer)
        self._begin_next()

    def _begin_next(self) -> None:
        """Let those begin that may: the namespaces take turns, and a name that is not wanted any more is left out."""
        for namespace in list(self._waiting):
            if not self._may_begin(namespace):
                continue  # it keeps its place: a turn that it could not use is not its turn
            waiting = self._waiting.pop(namespace)
            self._begin_one(waiting, namespace)
            if waiting:
                self._waiting[namespace] = waiting  # behind the others

    def _begin_one(self, waiting: dict[Name, _Lookup], namespace: str) -> None:
        for name, lookup in list(waiting.items()):
            if name in self._running:
                continue  # another namespace has begun it, and all are told
            del waiting[name]
            if lookup.wanted:
                self._begin(name, namespace, lookup)
                return
            lookup.future.cancel()

    def _keep(self, host: str, port: int, answer: list[str]) -> None:
        if not self._cache:
            return
        now = self._monotonic()
        if len(self._answers) >= MAX_CACHED:
            self._answers = {name: known for name, known in self._answers.items() if now < known.expires}
        if len(self._answers) < MAX_CACHED:
            self._answers[host, port] = _Answer(list(answer), now + self._cache)


def _tell(lookup: _Lookup, answer: list[str] | OSError) -> None:
    if isinstance(answer, OSError):
        lookup.future.set_exception(answer)
        # The callers that waited may be gone: an answer that none of them reads is not a defect to report.
        lookup.future.exception()
    else:
        lookup.future.set_result(answer)
