"""What is wrong with a manifest: where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """ERROR: the object is not used. WARNING: legal, used, but probably not what its author meant."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule.

    `path` is the field path as kubectl prints it (`spec.addressExtensions[1].value`); `message` is one sentence that
    says what to do. Neither ever holds a Secret's value.
    """

    path: str
    message: str
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def errors(violations: tuple[Violation, ...]) -> tuple[Violation, ...]:
    """Those violations that keep the object from being used."""
    return tuple(violation for violation in violations if violation.severity is Severity.ERROR)
