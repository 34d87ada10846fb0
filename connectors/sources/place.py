"""Places: from a field path to the line where the field stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a document: its line, counted from 1, and those of what it holds. No values, so no secrets."""

    line: int
    children: Mapping[str, Place] | Sequence[Place] | None = None

    def line_of(self, path: str) -> int:
        """The line of the field at `path`, or of the innermost node above it that exists."""
        place = self
        for step in _STEP.finditer(path):
            child = place._child(step[1] if step[1] is not None else step[2])
            if child is None:
                break
            place = child
        return place.line

    def _child(self, key: str) -> Place | None:
        if isinstance(self.children, Mapping):
            return self.children.get(key)
        if self.children is not None and key.isdecimal() and int(key) < len(self.children):
            return self.children[int(key)]
        return None


def field_path(parent: str, key: str | int) -> str:
    """The path of a field or list item below `parent`, as kubectl prints it: a key with dots stands in brackets."""
    if isinstance(key, int) or not _PLAIN_KEY.fullmatch(key):
        return f"{parent}[{key}]"
    return f"{parent}.{key}" if parent else key
