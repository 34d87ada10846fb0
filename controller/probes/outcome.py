"""What probes found, as values that a plan reads. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from connectors.objects.conditions import ConditionStatus
from connectors.objects.reasons import ConditionReason

# Seconds after which an outcome is told of although it is the same as before: who looks at a status wants to know that
# somebody still probes, and a write a minute for each of five thousand Connectors is too much for an API server.
RETELL = 600.0


class Purpose(StrEnum):
    """What a probe is for; also its label in metrics."""

    LIVENESS = "liveness"
    AUTH = "auth"
    API = "api"


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """What a probe says of its condition.

    `message` never holds a credential, and is the same as long as nothing changes.
    """

    status: ConditionStatus
    reason: ConditionReason | None = None
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether the condition does not hold."""
        return self.status is ConditionStatus.FALSE


PASSED = ProbeOutcome(ConditionStatus.TRUE)


def failed(reason: ConditionReason, message: str) -> ProbeOutcome:
    """The condition does not hold."""
    return ProbeOutcome(ConditionStatus.FALSE, reason, message)


@dataclass(frozen=True, slots=True)
class Probed:
    """An outcome and when it was found, RFC 3339."""

    outcome: ProbeOutcome
    time: str


@dataclass(frozen=True, slots=True)
class Probes:
    """What is known of one object as it is now; None if that was not probed yet.

    `fresh`: since this process began it was not probed, and nothing of it has changed: what an earlier process
    wrote is as true as it can be until the first probe, some seconds from now. `pending`: why there is nothing yet.
    """

    liveness: Probed | None = None
    auth: Probed | None = None
    api: Probed | None = None
    fresh: bool = False
    pending: str = "not probed yet"


PENDING = Probes()
# What is told in place of an answer that has become too old.
LATE = "not probed for minutes: too many probes wait for an answer of this tool"
OFF = Probes(pending="probes are off (--probe-interval 0)")
