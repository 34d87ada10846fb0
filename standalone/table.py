"""Tables as kubectl prints them: columns three spaces apart, as wide as their widest cell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from connectors.objects.conditions import Condition, ConditionType
from connectors.process.logs import escaped
from standalone.objects import ConnectorClassObject, ConnectorObject

# Ages as kubectl prints them (k8s.io/apimachinery/pkg/util/duration, HumanDuration).
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
    """How long ago the RFC 3339 time `created` was, as `5m`, `3h20m` or `12d`; `<unknown>` if it is not a time."""
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


def connectors_table(items: Sequence[ConnectorObject], now: datetime, *, namespaces: bool) -> str:
    """NAME CLASS ADDRESS READY REASON PROXY AGE, behind NAMESPACE where `namespaces` is true. Ends with a newline."""
    head = ["NAME", "CLASS", "ADDRESS", "READY", "REASON", "PROXY", "AGE"]
    rows = [_connector_row(item, now) for item in items]
    if namespaces:
        head = ["NAMESPACE", *head]
        rows = [[item.metadata.namespace, *row] for item, row in zip(items, rows, strict=True)]
    return _table([head, *rows])


def classes_table(items: Sequence[ConnectorClassObject], now: datetime) -> str:
    """NAME READY REASON AGE. Ends with a newline."""
    rows = [
        [item.metadata.name, *_ready(item.status.conditions), age(item.metadata.creation_timestamp, now)]
        for item in items
    ]
    return _table([["NAME", "READY", "REASON", "AGE"], *rows])


def _connector_row(item: ConnectorObject, now: datetime) -> list[str]:
    proxy = item.status.proxy
    return [
        item.metadata.name,
        item.spec.connector_class_name,
        item.spec.address,
        *_ready(item.status.conditions),
        proxy.http_address.url if proxy else "",
        age(item.metadata.creation_timestamp, now),
    ]


def _ready(conditions: Sequence[Condition]) -> tuple[str, str]:
    found = next((condition for condition in conditions if condition.type is ConditionType.READY), None)
    return (found.status.value, found.reason) if found else ("", "")


def _table(rows: list[list[str]]) -> str:
    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "".join(f"{line}\n" for line in lines)
