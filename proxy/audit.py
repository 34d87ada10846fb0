"""One record per request: metrics and the access log, never a value."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from connectors.model.refusal import Refusal
from connectors.model.user import User
from connectors.snapshot import Binding
from proxy.access_log import AccessLine, AccessLog, timestamp
from proxy.http1.head import ParsedRequest
from proxy.metrics import NO_CONNECTOR, ProxyMetrics
from proxy.relay import Progress

CLIENT_CLOSED_REQUEST = 499
"""What nginx logs, and no client ever sees, for a request whose client left before an answer."""
_MAX_PATH = 512
"""Characters of a path in the log."""


@dataclass(slots=True)
class Record:
    """One request as it goes on. Times are in seconds of the monotonic clock."""

    request: ParsedRequest
    began: float
    caller: User | None = None
    binding: Binding | None = None
    refusal: Refusal | None = None
    progress: Progress = field(default_factory=Progress)

    @property
    def status(self) -> int:
        """The status that the client got; 499 where it left before one."""
        if self.progress.status:
            return self.progress.status
        return self.refusal.status.value if self.refusal else CLIENT_CLOSED_REQUEST

    @property
    def reason(self) -> str:
        """Why the proxy answered itself, or how the exchange broke off; empty where all went well."""
        return self.refusal.reason.value if self.refusal else self.progress.ending


class Audit:
    """Begins and ends records."""

    def __init__(self, metrics: ProxyMetrics, access_log: AccessLog) -> None:
        self._metrics = metrics
        self._access_log = access_log

    def begin(self, request: ParsedRequest) -> Record:
        """A request's head has arrived."""
        self._metrics.in_flight += 1
        return Record(request, time.monotonic())

    def end(self, record: Record) -> None:
        """The request is over, well or not."""
        progress = record.progress
        duration = time.monotonic() - record.began
        upstream = progress.first_byte_at - record.began if progress.first_byte_at else 0.0
        connector = record.binding.connector if record.binding else None
        metrics = self._metrics.of(connector.key if connector else NO_CONNECTOR)
        connector_class = connector.spec.connector_class_name if connector else ""
        metrics.count(connector_class, record.request.head.method, record.status)
        metrics.duration.observe(duration)
        if progress.first_byte_at:
            metrics.upstream_duration.observe(upstream)
        metrics.bytes_in += progress.bytes_in
        metrics.bytes_out += progress.bytes_out
        self._metrics.in_flight -= 1
        if record.refusal:
            self._metrics.refused(record.refusal.reason)
        if self._access_log.enabled:
            self._access_log.write(_line(record, duration, max(upstream, 0.0)))

    def malformed(self, refusal: Refusal) -> None:
        """A head that could not be parsed was refused: there is no request to speak of."""
        self._metrics.refused(refusal.reason)
        if self._access_log.enabled:
            moment, reason = timestamp(time.time()), refusal.reason.value
            line = AccessLine(moment, "", "", "-", "-", refusal.status.value, 0, 0, 0.0, 0.0, reason)
            self._access_log.write(line)


def _line(record: Record, duration: float, upstream: float) -> AccessLine:
    head, progress = record.request.head, record.progress
    return AccessLine(
        time=timestamp(time.time()),
        caller=str(record.caller or ""),
        connector=str(record.binding.connector.key) if record.binding else "",
        method=head.method.decode("latin-1"),
        path=_path(head.target),
        status=record.status,
        bytes_in=progress.bytes_in,
        bytes_out=progress.bytes_out,
        duration=round(duration, 6),
        upstream=round(upstream, 6),
        reason=record.reason,
    )


def _path(target: bytes) -> str:
    """The path without query, and without an authority: both can hold credentials (threats 14 and 27)."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/"):
        return "-"
    return path[:_MAX_PATH].decode("latin-1")
