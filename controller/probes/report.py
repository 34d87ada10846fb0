"""A probe as it went: its requests, their answers, and the outcome. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from controller.probes.outcome import Outcome
from controller.probes.request import Ask, ProbeRequest


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a probe, and the status of its answer; None where there was none."""

    request: ProbeRequest
    status: int | None = None


@dataclass(slots=True)
class Report:
    """A probe as it went. `ask` is None where there was nothing to ask for."""

    ask: Ask | None
    outcome: Outcome
    hops: list[Hop] = field(default_factory=list)
