"""What one attack did to the proxy and to its other clients, as numbers; and the file that keeps them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.results import Machine


class Answers(msgspec.Struct, frozen=True):
    """What a well-behaved client got: how many requests, those that failed and how, latencies in ms."""

    requests: int
    failed: dict[str, int] = {}
    p50: float = 0.0
    p99: float = 0.0
    slowest: float = 0.0

    @property
    def failures(self) -> int:
        """How many failed."""
        return sum(self.failed.values())


class State(msgspec.Struct, frozen=True):
    """A proxy at one moment, all of its processes together: resident memory in MiB, open files, what /metrics says."""

    resident: float
    files: int
    connections: int
    in_flight: int


class Pieces(msgspec.Struct, frozen=True):
    """The longest piece that the loop ran, what it was, and the longest round of the loop: CPU in ms."""

    longest: float = 0.0
    name: str = ""
    round: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """One attack. `done`: what the attacker did. `settled`: seconds until all was as before; None if it never was.

    `peak`: most resident memory, in MiB. `idle`: nothing else used the machine before. `faults`: the attack's own
    promises that were broken. `skipped`: why it was not played.
    """

    name: str
    workers: int = 1
    done: str = ""
    during: Answers = Answers(0)
    after: Answers = Answers(0)
    pieces: Pieces = Pieces()
    peak: float = 0.0
    before_state: State = State(0, 0, 0, 0)
    after_state: State = State(0, 0, 0, 0)
    settled: float | None = None
    idle: bool = False
    faults: list[str] = []
    skipped: str = ""


class Record(msgspec.Struct):
    """A run of `make attack`, as attacks/recorded.json holds it; `outcomes` of all its numbers of workers."""

    commit: str
    when: str
    machine: Machine
    connections: int
    outcomes: list[Outcome] = []

    def of(self, name: str, workers: int) -> Outcome | None:
        """What one attack did to so many workers."""
        found = (one for one in self.outcomes if (one.name, one.workers) == (name, workers))
        return next(found, None)

    def put(self, outcome: Outcome) -> None:
        """Keep it in place of an earlier one."""
        others = [one for one in self.outcomes if (one.name, one.workers) != (outcome.name, outcome.workers)]
        self.outcomes = [*others, outcome]


def read(path: Path) -> Record:
    """What `write` wrote.

    Raises:
        OSError: there is no such file.
        msgspec.DecodeError: it is none.
    """
    return msgspec.json.decode(path.read_bytes(), type=Record)


def write(path: Path, record: Record) -> None:
    """As JSON that a diff can show."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
