"""What one Connector may use at most of a process that many share: flags say it, annotations lower it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Ceiling(StrEnum):
    """Which of them, as the metric `connectors_proxy_limited_requests_total` names it."""

    REQUESTS = "requests"
    UPSTREAM_CONNECTIONS = "upstream_connections"
    RATE = "requests_per_second_per_caller"


# Of a Connector or its class. In the order of Ceilings.
CEILING_ANNOTATIONS: Mapping[str, Ceiling] = {
    "connectors.cpaas.io/max-requests": Ceiling.REQUESTS,
    "connectors.cpaas.io/max-upstream-connections": Ceiling.UPSTREAM_CONNECTIONS,
    "connectors.cpaas.io/max-requests-per-second-per-caller": Ceiling.RATE,
}
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


class Ceilings(NamedTuple):
    """`requests` in flight, `connections` toward its tools, `rate`: requests a second of one caller. 0: no limit."""

    requests: int = 0
    connections: int = 0
    rate: int = 0

    def lowered(self, by: Ceilings) -> Ceilings:
        """The lower of each two: what another says may lower this, and never raises it."""
        pairs = zip(self, by, strict=True)
        return Ceilings(*(min(own, other) if own and other else own or other for own, other in pairs))

    def share(self, number: int) -> Ceilings:
        """What each of so many processes allows, rounded up: so that none of them allows nothing."""
        return Ceilings(*(-(-ceiling // number) for ceiling in self))


NO_CEILINGS = Ceilings()


def ceiling_problem(text: str) -> str | None:
    """Why `text` cannot be the value of one of the annotations, None if it can."""
    if _NUMBER.fullmatch(text):
        return None
    return "must be a whole number from 1 to 999999999, in quotes; it lowers what the proxy's flag allows"


def annotated_ceilings(annotations: Mapping[str, str]) -> Ceilings:
    """What an object's annotations say. A value that breaks the rule counts as 1: no such object is served anyway."""
    if annotations.keys().isdisjoint(CEILING_ANNOTATIONS):
        return NO_CEILINGS
    return Ceilings(*(_number(annotations.get(name)) for name in CEILING_ANNOTATIONS))


def _number(text: str | None) -> int:
    if text is None:
        return 0
    return 1 if ceiling_problem(text) else int(text)
