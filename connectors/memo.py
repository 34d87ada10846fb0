"""What did not change is not made again: the one place that knows how to tell. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import is_
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Memo(Generic[Key, Made]):
    """Keeps by key what was made, and of which instances.

    Values are compared by identity: that costs nothing however large they are, shows no secret, and is exact, since
    sources keep an object's instance for as long as its content stays.
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Key, tuple[Sequence[object], Made]] = {}

    def get(self, key: Key, inputs: Sequence[object]) -> Made | None:
        """What was made of the very same inputs; None where they are others, or none was made."""
        kept = self._kept.get(key)
        if kept is None or len(kept[0]) != len(inputs) or not all(map(is_, kept[0], inputs)):
            return None
        return kept[1]

    def put(self, key: Key, inputs: Sequence[object], made: Made) -> Made:
        """Keep, in place of what was made before."""
        self._kept[key] = (inputs, made)
        return made

    def forget(self, key: Key) -> None:
        """It is not there any more."""
        self._kept.pop(key, None)
