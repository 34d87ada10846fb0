"""What a source has: all objects, and what is wrong with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.authorities import is_for_all
from connectors.model.connector import Connector
from connectors.model.connector_class import ConnectorClass
from connectors.model.feature_flags import FeatureFlags
from connectors.model.secret import Secret
from connectors.model.violation import Violation
from connectors.snapshot import Objects
from connectors.sources.manifests import Value
from connectors.sources.place import Place
from connectors.sources.problem import Identity, Problem

SYSTEM_NAMESPACE = "connectors-system"
"""Where Secrets with CAs for all are; in a cluster that is a setting."""


class Ignored(NamedTuple):
    """A kind of object that is none of this project's, and a file that has one."""

    kind: str
    file: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """One moment of a directory source.

    `problems` lists what is wrong with files and with objects as their manifests stand; rules that look at an object
    together with its class or Secret are the Snapshot's. `unreadable` are those problems, among them, of files and
    directories that could not be read at all.
    """

    objects: Objects
    problems: tuple[Problem, ...] = ()
    unreadable: tuple[Problem, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    places: Mapping[Identity, tuple[str, Place]] = field(default_factory=dict, repr=False)

    def problem(self, identity: Identity, violation: Violation) -> Problem:
        """A violation that a later check found, with the file and line of the object; a built-in class has neither."""
        if identity not in self.places:
            return Problem("(built in)", 0, identity, violation)
        file, place = self.places[identity]
        return Problem(file, place.line_of(violation.path), identity, violation)

    def tells_the_same(self, other: Loaded) -> bool:
        """Whether there is nothing new in `other`, but for lines that moved."""
        return (
            self.objects == other.objects
            and [str(problem) for problem in self.problems] == [str(problem) for problem in other.problems]
            and self.ignored == other.ignored
        )


def objects_of(values: Mapping[Identity, Value]) -> Objects:
    """The objects by kind, in the order given."""
    flags = (value for value in values.values() if isinstance(value, FeatureFlags))
    secrets = tuple(value for value in values.values() if isinstance(value, Secret))
    return Objects(
        connectors=tuple(value for value in values.values() if isinstance(value, Connector)),
        classes=tuple(value for value in values.values() if isinstance(value, ConnectorClass)),
        secrets=secrets,
        authorities=tuple(secret for secret in secrets if is_for_all(secret, SYSTEM_NAMESPACE)),
        flags=next(flags, FeatureFlags()),
    )
