"""When an object is probed again, and what makes an earlier outcome void. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.dial.upstream_proxy import UpstreamProxies
from connectors.judgement import Judgement
from connectors.objects.connector_class import ConnectorClass
from connectors.process.declaration import Parser, setting
from connectors.process.parsers import parse_duration_or_zero
from connectors.tls.pool import Trust
from controller.probes.outcome import LATE, RETELL, Probed, ProbeOutcome, Probes, Purpose
from controller.probes.request import Ask

# A tenth of a pause, either way: probes that began together drift apart, and "every 60 s" stays true.
JITTER = 0.1


def parse_interval(text: str) -> float:
    """A duration of a second at least, or 0.

    Raises:
        ValueError: anything else. More often would be an attack on the tool, and with a wrong password on the account.
    """
    seconds = parse_duration_or_zero(text)
    if 0 < seconds < 1:
        raise ValueError("it must be at least 1s, or 0 for no probes")
    return seconds


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """`interval`: seconds between two probes that succeed; 0 switches probes off.

    The rest bounds what probing costs, here and at the tools.

    `longest`: seconds between two that fail, at most; a wrong password every few seconds would lock accounts.
    `timeout`: seconds for one probe with its redirects; as long as clients wait for a page that they take for broken.
    `at_once`: probes that run at the same time, of all tools that answer; each holds a socket and some KiB.
    `slow_at_once`: besides, of those that were SLOW the last time: they may be many, and must not keep others waiting.
    `per_origin`: of one tool. A thousand Connectors of one tool are probed one behind the other, not at once.
    """

    interval: float = setting(
        "--probe-interval", "60s", Parser(parse_interval, "DURATION"),
        "pause between two probes of a tool; after failures it doubles, to 5m at most. 0: nothing is probed",
    )  # fmt: skip
    longest: float = 300.0
    timeout: float = 10.0
    at_once: int = 64
    slow_at_once: int = 32
    per_origin: int = 4


# Seconds. A tool that answers so late, or not at all, holds a place among `at_once` as long as fifty others do.
SLOW = 1.0


def pause(settings: ProbeSettings, failures: int, chance: float) -> float:
    """Seconds until the next probe after `failures` failed ones in a row; `chance` is a number from 0 to 1."""
    # An exponent without bound overflows after days of failures.
    seconds = settings.interval * 2.0 ** min(failures, 16)
    limited = min(seconds, max(settings.longest, settings.interval))
    return limited * (1 - JITTER + 2 * JITTER * chance)


# What an outcome depends on, besides the tool.
Inputs = tuple[object, ...]


def inputs_of(judgement: Judgement) -> Inputs:
    """What a Connector's outcomes depend on, the CAs that it trusts included.

    Generations and versions rather than objects: a label that changes makes a new object and voids nothing.
    """
    secret = judgement.secret
    version = (secret.metadata.uid, secret.metadata.resource_version) if secret else None
    problem = judgement.secret_problem.reason if judgement.secret_problem else None
    metadata = judgement.connector.metadata
    return (
        metadata.uid,
        metadata.generation,
        *_of_class(judgement.connector_class),
        version,
        problem,
        judgement.trust.digests,
        judgement.egress,
    )


def inputs_of_class(connector_class: ConnectorClass, trust: Trust, proxies: UpstreamProxies | None = None) -> Inputs:
    """What the outcome of a class's own API depends on."""
    return (*_of_class(connector_class), trust.digests, proxies)


def _of_class(connector_class: ConnectorClass | None) -> Inputs:
    metadata = connector_class.metadata if connector_class else None
    return (metadata.uid, metadata.generation) if metadata else (None, None)


@dataclass(slots=True)
class ProbeRecord:
    """What is known of one object that is probed. Pure: it is told what happens, and when.

    `asks` holds what takes a request, `found` what was found, with or without one.

    `fresh`: see Probes. `told`: when somebody last heard of it. `in_line`: since when a probe waits for others of its
    tool; `late`: which of them too long. All times are of the monotonic clock.
    """

    subject: Judgement | ConnectorClass
    inputs: Inputs
    fresh: bool = True
    asks: dict[Purpose, Ask] = field(default_factory=dict)
    found: dict[Purpose, Probed] = field(default_factory=dict)
    failures: dict[Purpose, int] = field(default_factory=dict)
    told: float = 0.0
    in_line: dict[Purpose, float] = field(default_factory=dict)
    late: set[Purpose] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether everything was probed once, or waits for so long that it should not be waited for."""
        return all(purpose in self.found or purpose in self.late for purpose in self.asks)

    @property
    def probes(self) -> Probes:
        """What may be told of it: an answer that is late says nothing any more."""
        found = {purpose: probed for purpose, probed in self.found.items() if purpose not in self.late}
        known = (found.get(Purpose.LIVENESS), found.get(Purpose.AUTH), found.get(Purpose.API))
        return Probes(*known, self.fresh, LATE) if self.late else Probes(*known, self.fresh)

    def keep(self, purpose: Purpose, before: ProbeRecord) -> None:
        """Take over what `before`, a record of the same inputs, knows."""
        self.found[purpose] = before.found[purpose]
        self.failures[purpose] = before.failures.get(purpose, 0)
        if purpose in before.in_line:
            self.in_line[purpose] = before.in_line[purpose]
        if purpose in before.late:
            self.late.add(purpose)

    def failed(self, purpose: Purpose, outcome: ProbeOutcome) -> int:
        """How often it has failed in a row, this outcome included."""
        self.failures[purpose] = self.failures.get(purpose, 0) + 1 if outcome.failed else 0
        return self.failures[purpose]

    def find(self, purpose: Purpose, probed: Probed, now: float) -> bool:
        """Keep what was found. Returns whether it is worth telling."""
        before, was_complete = self.found.get(purpose), self.complete
        new = not was_complete or before is None or before.outcome != probed.outcome or purpose in self.late
        self.found[purpose] = probed
        self.late.discard(purpose)
        self.in_line.pop(purpose, None)
        # One word for all of an object's first outcomes: each word may be a write.
        if not self.complete or not (new or now - self.told >= RETELL):
            return False
        self.fresh, self.told = False, now
        return True

    def wait(self, purpose: Purpose, now: float) -> float:
        """It stands in line. Returns for how many seconds it has done so."""
        return now - self.in_line.setdefault(purpose, now)

    def give_up(self, purpose: Purpose) -> bool:
        """Note that it has waited too long: whether all is still well is not known. Returns whether that is news."""
        before = self.found.get(purpose)
        if purpose in self.late or (before is not None and before.outcome.failed):
            return False
        self.late.add(purpose)
        self.fresh = False
        return True
