"""What one Connector may use at most of a process that many share."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Ceiling(StrEnum):
    """Which of them, as the metric `connectors_proxy_limited_requests_total` names it."""

    REQUESTS = "requests"
    UPSTREAM_CONNECTIONS = "upstream_connections"
    RATE = "requests_per_second_per_caller"


class Ceilings(NamedTuple):
    """`requests` in flight, `connections` toward its tools, `rate`: requests a second of one caller. 0: no limit."""

    requests: int = 0
    connections: int = 0
    rate: int = 0


NO_CEILINGS = Ceilings()
