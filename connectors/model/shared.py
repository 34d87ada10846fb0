"""One instance for texts that thousands of objects have in common: namespaces, names of classes and of types."""

from __future__ import annotations

from functools import lru_cache

MOST = 4096
"""Texts that are remembered; with more of them some are there twice, and nothing else."""
LONGEST = 64
"""Characters of such a text: a name of one label has 63."""


def shared(text: str) -> str:
    """The one that stands for all that are equal. Not for what may be a secret: it is remembered."""
    return _shared(text) if len(text) <= LONGEST else text


@lru_cache(maxsize=MOST)
def _shared(text: str) -> str:
    return text
