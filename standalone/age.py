"""Ages as kubectl prints them (k8s.io/apimachinery/pkg/util/duration, HumanDuration)."""

from __future__ import annotations

from datetime import datetime

_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400

_STEPS = (
    # below this many seconds, the unit, its letter, the next smaller unit where it is shown, its letter
    (2 * _MINUTE, 1, "s", 0, ""),
    (10 * _MINUTE, _MINUTE, "m", 1, "s"),
    (3 * _HOUR, _MINUTE, "m", 0, ""),
    (8 * _HOUR, _HOUR, "h", _MINUTE, "m"),
    (2 * _DAY, _HOUR, "h", 0, ""),
    (8 * _DAY, _DAY, "d", _HOUR, "h"),
    (2 * _YEAR, _DAY, "d", 0, ""),
    (8 * _YEAR, _YEAR, "y", _DAY, "d"),
)


def age(created: str | None, now: datetime) -> str:
    """How long ago the RFC 3339 time `created` was, as `5m`, `3h20m` or `12d`; `<unknown>` where it cannot be said."""
    try:
        seconds = int((now - datetime.fromisoformat(created or "")).total_seconds())
    except (ValueError, TypeError):
        return "<unknown>"
    return human(max(seconds, 0))


def human(seconds: int) -> str:
    """A duration of whole seconds with at most two units."""
    for limit, unit, letter, smaller, smaller_letter in _STEPS:
        if seconds < limit:
            rest = seconds % unit // smaller if smaller else 0
            return f"{seconds // unit}{letter}" + (f"{rest}{smaller_letter}" if rest else "")
    return f"{seconds // _YEAR}y"
