"""What a source has: all objects, and what is wrong with where they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from connectors.objects.violation import Violation
from connectors.snapshot import Changes, Objects
from connectors.sources.place import Identity, Place, Problem


class Ignored(NamedTuple):
    """A kind of object that this project does not read, and a file that has one."""

    kind: str
    file: str


def _nowhere(_: Identity) -> tuple[str, Place] | None:
    return None


@dataclass(frozen=True, slots=True)
class Loaded:
    """One moment of a directory source.

    `problems` lists what is wrong with files and with objects as their manifests stand; rules that look at an object
    together with its class or Secret are the Snapshot's. `unreadable` are those problems, among them, of files and
    directories that could not be read at all. `place` finds an object's file and place; it is of this moment only until
    the source is asked for the next. `changes` is what is other than in the moment before, None if that is not
    known.
    """

    objects: Objects
    problems: tuple[Problem, ...] = ()
    unreadable: tuple[Problem, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    place: Callable[[Identity], tuple[str, Place] | None] = field(default=_nowhere, repr=False)
    changes: Changes | None = field(default=None, repr=False)

    def problem(self, identity: Identity, violation: Violation) -> Problem:
        """A violation that a later rule found, with the file and line of the object; a built-in class has neither."""
        found = self.place(identity)
        if found is None:
            return Problem("(built in)", 0, identity, violation)
        file, place = found
        return Problem(file, place.line_of(violation.path), identity, violation)

    def tells_the_same(self, other: Loaded) -> bool:
        """Whether `other` brings nothing new, apart from line numbers."""
        same_objects = not self.changes if self.changes is not None else self.objects == other.objects
        return (
            same_objects
            and [str(problem) for problem in self.problems] == [str(problem) for problem in other.problems]
            and self.ignored == other.ignored
        )
