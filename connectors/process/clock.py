"""The wall clock, read in one place; everything else is given the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The current time, UTC."""
    return datetime.now(UTC)


def timestamp() -> str:
    """The current time as metav1.Time writes it: RFC 3339, UTC, whole seconds."""
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")
