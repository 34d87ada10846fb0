"""The kinds of failure on the way to a tool. Pure: connectors/dial/failure.py tells which one it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FailureKind(StrEnum):
    """What went wrong, as a condition's message names it."""

    DNS = "DNS"
    REFUSED = "connection refused"
    TIMEOUT = "timeout"
    TLS = "TLS"
    UNREACHABLE = "unreachable"
    PROTOCOL = "not HTTP"
    DENIED = "denied"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class DialFailure:
    """What went wrong, and a sentence that says where and what to do."""

    kind: FailureKind
    message: str
