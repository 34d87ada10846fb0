"""What one Connector may use at most of a process that many share."""

from __future__ import annotations

from enum import StrEnum


class Ceiling(StrEnum):
    """Which of them, as the metric `connectors_proxy_limited_requests_total` names it."""

    REQUESTS = "requests"
    UPSTREAM_CONNECTIONS = "upstream_connections"
