"""The mutations of mutations.yaml."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).resolve().parent.parent.parent


class Edit(Struct, frozen=True, forbid_unknown_fields=True):
    """One place: `old`, which stands once in `path`, becomes `new`."""

    path: str
    old: str
    new: str

    def of(self, text: str) -> str:
        """The file's text with the edit.

        Raises:
            ValueError: what is to be changed does not stand there once.
        """
        count = text.count(self.old)
        if count != 1:
            raise ValueError(f"{self.path}: {self.old!r} stands there {count} times; correct the mutation")
        return text.replace(self.old, self.new)


class Mutation(Struct, frozen=True, forbid_unknown_fields=True):
    """`name` says what is gone, and begins with the invariant's number. One of `tests` must fail."""

    name: str
    tests: tuple[str, ...]
    edits: tuple[Edit, ...]


def mutations() -> tuple[Mutation, ...]:
    """All, in their order."""
    text = (ROOT / "tests" / "mutation" / "mutations.yaml").read_bytes()
    return msgspec.yaml.decode(text, type=tuple[Mutation, ...])
