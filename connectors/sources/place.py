"""Places, from a field path to the line where the field stands; and problems, which say what is wrong in which."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from connectors.objects.violation import Severity, Violation

_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

# A mapping or sequence: its line, its keys (None: it is a sequence), and what it holds.
Branch = tuple[int, "tuple[str, ...] | None", "tuple[Node, ...]"]
# A node of a document with the lines of all that it holds; a scalar is its line alone.
Node = int | Branch


class Place:
    """Where an object stands: its first line, counted from 1, and from there the lines of what it holds.

    There are no values in it, so no secrets. Lines count from the object's own, so that those of thousands of objects
    that are written alike can be one value (`shared`): with a tree of its own each would take more memory than the
    object.
    """

    __slots__ = ("_first", "_node")

    def __init__(self, first: int, node: Node = 0) -> None:
        """`first` is the line from which those of `node` count."""
        self._first = first
        self._node = node

    @property
    def line(self) -> int:
        """The line where it begins."""
        return self._first + line_of(self._node)

    def line_of(self, path: str) -> int:
        """The line of the field at `path`, or of the innermost node above it that exists."""
        node = self._node
        for step in _STEP.finditer(path):
            child = _child(node, step[1] if step[1] is not None else step[2])
            if child is None:
                break
            node = child
        return self._first + line_of(node)

    def below(self, *steps: str) -> Place:
        """The place of what stands at the end of these keys and indexes; the innermost that exists."""
        node = self._node
        for step in steps:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return Place(self._first, node)


def line_of(node: Node) -> int:
    """The line of a node."""
    return node if isinstance(node, int) else node[0]


def at(line: int, node: Node) -> Node:
    """What a node holds, where it is named in another line: by an alias."""
    return line if isinstance(node, int) else (line, node[1], node[2])


def field_path(parent: str, key: str | int) -> str:
    """The path of a field or list item below `parent`, as kubectl prints it: a key with dots stands in brackets."""
    if isinstance(key, int) or not _PLAIN_KEY.fullmatch(key):
        return f"{parent}[{key}]"
    return f"{parent}.{key}" if parent else key


def _child(node: Node, key: str) -> Node | None:
    if isinstance(node, int):
        return None
    _, keys, children = node
    if keys is not None:
        return children[keys.index(key)] if key in keys else None
    return children[int(key)] if key.isdecimal() and int(key) < len(children) else None


@lru_cache(maxsize=4096)
def shared(node: Branch) -> Branch:
    """One instance for all that are equal."""
    return node


class Identity(NamedTuple):
    """Which object: there is one of an identity at a time. `namespace` is empty for kinds without namespaces."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        qualified = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {qualified}".rstrip()


# Of a problem that concerns a file as a whole, or a document that does not say what it is.
UNNAMED = Identity("", "", "")


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
    return Problem(file, line, UNNAMED, Violation("", message))
