"""A problem: a violation with the object it is of and the file and line where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from connectors.model.violation import Severity, Violation


class Identity(NamedTuple):
    """Which object: there is one of an identity at a time. `namespace` is empty for kinds without namespaces."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {qualified}".rstrip()


NOBODY = Identity("", "", "")
"""Of a problem that concerns a file as a whole, or a document that does not say what it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where. `line` counts from 1; 0 means the file as a whole."""

    file: str
    line: int
    identity: Identity
    violation: Violation

    @property
    def severity(self) -> Severity:
        """The violation's."""
        return self.violation.severity

    def __str__(self) -> str:
        """`FILE:LINE: Kind namespace/name: field.path: message`, as `connectors validate` prints it."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        parts = (where, str(self.identity), self.violation.path, self.violation.message)
        return ": ".join(part for part in parts if part)


def about_file(file: str, line: int, message: str) -> Problem:
    """A problem of a file rather than of an object in it."""
    return Problem(file, line, NOBODY, Violation("", message))
