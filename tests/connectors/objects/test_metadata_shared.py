from __future__ import annotations

from connectors.objects.metadata import LONGEST, shared


def text(*parts: str) -> str:
    """Another instance with each call."""
    return "".join(parts)


def test_equal_texts_become_one() -> None:
    assert shared(text("te", "am")) is shared(text("tea", "m"))
    assert shared("other") == "other"


def test_what_is_long_is_not_remembered() -> None:
    long = text("x" * LONGEST, "y")
    assert shared(long) is long
    assert shared(text("x" * LONGEST, "y")) is not long
