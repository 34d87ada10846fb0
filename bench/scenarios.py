"""What is measured, as data: each scenario is declared here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bench.load import Requests
from bench.peers.peer import Behind, Callers, Setup


class Body(StrEnum):
    """1 GiB by curl, down or up, its length known or in chunks."""

    DOWN = "down"
    DOWN_CHUNKED = "down chunked"
    DOWN_LARGE_CHUNKS = "down in large chunks"
    UP = "up"
    UP_CHUNKED = "up chunked"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Load on a Setup. `target`: nginx's CPU divided by ours. `quick`: it is part of `make bench-quick`."""

    key: str
    title: str
    load: Requests | Body
    setup: Setup
    target: float | None = None
    quick: bool = False

    @property
    def per(self) -> str:
        """What CPU is counted for."""
        return "GiB" if isinstance(self.load, Body) else "request"


PLAIN = Setup()
TOKEN, KUBERNETES = Setup(callers=Callers.TOKEN), Setup(callers=Callers.KUBERNETES)
TLS, TLS_CLOSING = Setup(Behind.TLS), Setup(Behind.TLS_CLOSING)
BODIES, TLS_BODIES = Setup(Behind.BODIES), Setup(Behind.TLS_BODIES)
TLS_LISTENER = Setup(listener_tls=True)
SMALL = Requests(32)
SPECIAL = Requests(32, "/special/")

SCENARIOS = (
    Scenario("small-32", "small, 32 connections", SMALL, PLAIN, 0.85, quick=True),
    Scenario("small-1", "small, 1 connection", Requests(1), PLAIN, 0.75),
    Scenario("small-256", "small, 256 connections", Requests(256), PLAIN),
    Scenario("answers-16k", "answers of 16 KiB", Requests(32, "/16k/"), PLAIN, 0.80, quick=True),
    Scenario("post-1k", "POST of 1 KiB", Requests(32, method="POST", body=1024), PLAIN, 0.85),
    Scenario("special", "answers with Location, Set-Cookie, in chunks", SPECIAL, PLAIN, 0.55, quick=True),
    Scenario("new-client", "new client connection each", Requests(32, close=True), PLAIN, 0.60, quick=True),
    Scenario("token", "callers' tokens, mode token", SMALL, TOKEN, 0.75, quick=True),
    Scenario("kubernetes", "callers' tokens, mode kubernetes", SMALL, KUBERNETES, 0.75),
    Scenario("path-form", "path form", SMALL, Setup(path_form=True), 0.75),
    Scenario("access-log", "with an access log", SMALL, Setup(access_log=True), 0.90),
    Scenario("tool-new", "new connection to the tool each", SMALL, Setup(Behind.CLOSING)),
    Scenario("tls-tool", "tool with TLS, connections kept", SMALL, TLS, 0.80),
    Scenario("tls-tool-new", "tool with TLS, new connection each", SMALL, TLS_CLOSING, 0.55),
    Scenario("tls-listener", "listener with TLS, connections kept", SMALL, TLS_LISTENER, 0.75),
    Scenario("down", "1 GiB down", Body.DOWN, PLAIN, 1.7, quick=True),
    Scenario("up", "1 GiB up", Body.UP, BODIES, 2.5),
    Scenario("down-chunked", "1 GiB down, in chunks of 32 KiB", Body.DOWN_CHUNKED, BODIES, 1.1),
    Scenario("down-chunked-large", "1 GiB down, in chunks of 1 MiB", Body.DOWN_LARGE_CHUNKS, BODIES),
    Scenario("up-chunked", "1 GiB up, in chunks", Body.UP_CHUNKED, BODIES),
    Scenario("down-tls", "1 GiB down, tool with TLS", Body.DOWN, TLS, 1.1),
    Scenario("down-tls-client", "1 GiB down, listener with TLS", Body.DOWN, TLS_LISTENER),
    Scenario("up-tls", "1 GiB up, tool with TLS", Body.UP, TLS_BODIES),
)

# Targets of small-32 beside the one against nginx: their CPU divided by ours.
AGAINST = {"HAProxy": 0.95, "Envoy": 2.2}
# Targets of what is measured of this proxy alone: at most so much.
ALONE = {
    ("idle clients", "bytes each"): 2560,
    ("Connectors in files", "ready, CPU s"): 3,
    ("Connectors in files", "bytes each"): 4096,
    ("Connectors in files", "a changed Secret, CPU ms"): 20,
    ("Connectors in files", "slowest answer while Secrets change, ms"): 20,
}


def chosen(keys: list[str] | None, *, quick: bool = False) -> tuple[Scenario, ...]:
    """Those with these keys, or all (the quick ones of them).

    Raises:
        ValueError: there is none with one of the keys.
    """
    known = {scenario.key: scenario for scenario in SCENARIOS}
    if unknown := set(keys or ()) - set(known):
        raise ValueError(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return tuple(one for one in SCENARIOS if (one.key in keys if keys else one.quick or not quick))
