"""What can be seen of a proxy from outside, without what differs each time: ids, dates, durations."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pprint import pformat
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry

_OWN_ANSWER = re.compile(
    rb"(\r\nDate: )[^\r]*(\r\nCache-Control: no-store\r\nX-Connectors-Reason: [A-Za-z]+\r\nX-Request-Id: )"
    rb"[0-9a-f]{16}-[0-9a-f]+"
)
_TIMED = re.compile(r"^\S+ access |(?<= )duration=\S+|(?<= )upstream=\S+|(?<= )request=[0-9a-f]{16}-[0-9a-f]+$")
_DURATIONS = ("duration", "authorization", "upstream")
_PASSING = ("_bucket", "_sum", "_created", "_generation", "_age_seconds", "_in_flight", "_connections")
_AT_WORK = ("connectors_proxy_requests_in_flight", "connectors_proxy_upstream_connections")
_ANSWERED = {"api": "answered", "cache": "answered"}
"""Whether an answer about a caller was asked for or remembered is what may differ between a proxy and a fresh one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of some requests: bytes at the tool, bytes at the client, what metrics gained."""

    tool: tuple[bytes, ...]
    client: tuple[bytes, ...]
    metrics: Mapping[str, float]

    @property
    def statuses(self) -> tuple[bytes, ...]:
        """Of each final answer; empty where there was none."""
        return tuple(answer[9:12] for answer in self.client)


@dataclass(frozen=True, slots=True)
class Logged:
    """What was written down of some requests: lines of the access log, records of the audit log."""

    access: tuple[str, ...]
    audit: tuple[str, ...]


def masked_answers(answers: bytes) -> bytes:
    """Answers at the client; those that are the proxy's own without id and date."""
    return _OWN_ANSWER.sub(rb"\1<date>\2<id>", answers)


def masked_line(line: str) -> str:
    """A line of the access log, of either format, without id, time and durations."""
    if line.startswith("{"):
        return masked_record(line)
    return _TIMED.sub(lambda found: found[0].partition("=")[0] if "=" in found[0] else "access ", line)


def masked_record(line: str) -> str:
    """A JSON record without id, time and durations; whether the tool began to answer stays."""
    record: dict[str, Any] = json.loads(line)
    for name in ("time", "request"):
        assert record.pop(name), line
    for name in _DURATIONS:
        if name in record:
            value = record.pop(name)
            assert value >= 0, line
            record[name] = name == "upstream" and value > 0
    return json.dumps(record, sort_keys=True)


def measured(registry: CollectorRegistry) -> tuple[float, dict[str, float]]:
    """How many requests run and how many connections they hold; the counters, each by its name and labels."""
    at_work, found = 0.0, dict[str, float]()
    for family in registry.collect():
        for sample in family.samples:
            if sample.name in _AT_WORK and sample.labels.get("state") != "idle":
                at_work += abs(sample.value)
            if sample.name.endswith(_PASSING):
                continue
            source = sample.labels.get("source", "")
            labels = sample.labels | {"source": _ANSWERED.get(source, source)} if source else sample.labels
            key = f"{sample.name}{sorted(labels.items())}"
            found[key] = found.get(key, 0.0) + sample.value
    return at_work, found


def gained(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """What `after` has more than `before`; what is unchanged is left out."""
    return {key: value - before.get(key, 0.0) for key, value in after.items() if value != before.get(key, 0.0)}


T = TypeVar("T", Seen, Logged)


def check_same(got: T, expected: T, where: str) -> None:
    """Nothing differs.

    Raises:
        AssertionError: it says what does.
    """
    for part in type(got).__slots__:
        one, other = getattr(got, part), getattr(expected, part)
        if one != other:
            shown = pformat(one, width=160), pformat(other, width=160)
            raise AssertionError(f"{where}: {part} differs\ngot      {shown[0]}\nexpected {shown[1]}")
