"""The well-behaved client of another tenant: asks in three ways until SIGTERM, then prints what it got as JSON.

Over a kept connection, over a new one each time, and the admin port's /livez. It is a process of its own, so that
nothing but the proxy can keep it waiting. `beating` is printed once each way has worked.
"""

from __future__ import annotations

import argparse
import http.client
import signal
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from attacks.outcome import Answers

PROXY = "127.0.0.1"
OWN = "127.0.0.2"
"""Its address, which the attacker does not have."""
PATIENCE = 10.0
"""Seconds that a request may take; what takes longer has failed."""
KEPT, NEW, LIVEZ = 0.01, 0.02, 0.05
"""Seconds between two requests."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A port, the Host and token that requests there have, and whether it speaks TLS."""

    port: int
    host: str
    token: str = ""
    path: str = "/x"
    tls: bool = False

    def connection(self) -> http.client.HTTPConnection:
        """One that is not open yet."""
        if not self.tls:
            return http.client.HTTPConnection(PROXY, self.port, PATIENCE, source_address=(OWN, 0))
        # Whether the certificate is right is not what is measured.
        context = ssl._create_unverified_context()  # noqa: S323, SLF001
        return http.client.HTTPSConnection(PROXY, self.port, timeout=PATIENCE, source_address=(OWN, 0), context=context)

    def ask(self, connection: http.client.HTTPConnection) -> int:
        """The status of one request, whose answer is read to its end.

        Raises:
            OSError, http.client.HTTPException: there was none.
        """
        fields = {"Host": self.host, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        connection.request("GET", self.path, headers=fields)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@dataclass
class Tally:
    """What came of all requests so far; latencies in seconds."""

    took: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def one(self, what: str, ask: Callable[[], int]) -> None:
        """Count one request: it fails without an answer, or with a status other than 200."""
        begun = time.perf_counter()
        try:
            status = ask()
            problem = "" if status == http.client.OK else f"{what}: {status}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"{what}: {type(error).__name__}"
        self.took.append(time.perf_counter() - begun)
        if problem:
            self.failed[problem] += 1

    def answers(self) -> Answers:
        """All of it."""
        ordered = sorted(1000 * seconds for seconds in self.took) or [0.0]
        p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
        return Answers(len(self.took), dict(self.failed), round(p50, 2), round(p99, 2), round(ordered[-1], 2))


def kept(asked: Asked, tally: Tally, ended: threading.Event, begun: threading.Barrier) -> None:
    """One connection, for as long as it lasts: an end between two requests is a failure, as the next one notices."""
    connection = asked.connection()
    tally.one("kept connection", lambda: asked.ask(connection))
    begun.wait()
    while not ended.wait(KEPT):
        tally.one("kept connection", lambda: asked.ask(connection))
    connection.close()


def fresh(what: str, pause: float) -> Callable[[Asked, Tally, threading.Event, threading.Barrier], None]:
    """Ask over a new connection each time."""

    def asking(asked: Asked, tally: Tally, ended: threading.Event, begun: threading.Barrier) -> None:
        def once() -> int:
            connection = asked.connection()
            try:
                return asked.ask(connection)
            finally:
                connection.close()

        tally.one(what, once)
        begun.wait()
        while not ended.wait(pause):
            tally.one(what, once)

    return asking


def main() -> None:
    """Ask until SIGTERM."""
    parser = argparse.ArgumentParser("python -m attacks.neighbour", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("admin", type=int)
    parser.add_argument("host")
    parser.add_argument("--token", default="")
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    asked = Asked(given.port, given.host, given.token, tls=given.tls)
    live = Asked(given.admin, f"{PROXY}:{given.admin}", path="/livez")
    begun, tally = threading.Barrier(4), Tally()
    ways = [(kept, asked), (fresh("new connection", NEW), asked), (fresh("/livez", LIVEZ), live)]
    threads = [threading.Thread(target=way, args=(of, tally, ended, begun)) for way, of in ways]
    for thread in threads:
        thread.start()
    begun.wait()
    print("beating", flush=True)
    ended.wait()
    for thread in threads:
        thread.join()
    print(f"got: {msgspec.json.encode(tally.answers()).decode()}", flush=True)


if __name__ == "__main__":
    main()
