"""When an object is probed again, and what makes an earlier outcome void. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.judgement import Judgement
from connectors.model.connector_class import ConnectorClass
from connectors.tls.pool import Trust

JITTER = 0.1
"""A tenth of a pause, either way: what was begun together drifts apart, and "every 60 s" stays true."""


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

    interval: float = 60.0
    longest: float = 300.0
    timeout: float = 10.0
    at_once: int = 64
    slow_at_once: int = 32
    per_origin: int = 4


SLOW = 1.0
"""Seconds. A tool that answers so late, or not at all, holds a place among `at_once` as long as fifty others do."""


def pause(settings: ProbeSettings, failures: int, chance: float) -> float:
    """Seconds until the next probe after `failures` failed ones in a row; `chance` is a number from 0 to 1."""
    # An exponent without bound overflows after days of failures.
    seconds = settings.interval * 2.0 ** min(failures, 16)
    limited = min(seconds, max(settings.longest, settings.interval))
    return limited * (1 - JITTER + 2 * JITTER * chance)


Inputs = tuple[object, ...]
"""What an outcome depends on, besides the tool."""


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
    )


def inputs_of_class(connector_class: ConnectorClass, trust: Trust) -> Inputs:
    """What the outcome of a class's own API depends on."""
    return (*_of_class(connector_class), trust.digests)


def _of_class(connector_class: ConnectorClass | None) -> Inputs:
    metadata = connector_class.metadata if connector_class else None
    return (metadata.uid, metadata.generation) if metadata else (None, None)
