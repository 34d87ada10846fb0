"""One record per request: metrics, the access log and the audit log, never a value."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from connectors.model.reasons import Reason
from connectors.model.refusal import Refusal
from connectors.model.user import User
from connectors.plan import Plan
from proxy.access_log import AccessLine, AccessLog, timestamp
from proxy.audit_log import AuditLog
from proxy.audit_record import AuditRecord, Decision, UsedSecret, audit_caller
from proxy.decision import Forward
from proxy.http1.head import ParsedRequest
from proxy.metrics import NO_CONNECTOR, ProxyMetrics
from proxy.relay import Progress
from proxy.request_id import RequestIds

CLIENT_CLOSED_REQUEST = 499
"""What nginx logs, and no client ever sees, for a request whose client left before an answer."""
_MAX_PATH = 512
"""Characters of a path in the log."""
_REFUSED_LATER = frozenset({Reason.TARGET_DENIED, Reason.LOOP_DETECTED})
"""Refusals that can come behind the decision, of the address that is about to be dialled."""


@dataclass(slots=True)
class Record:
    """One request as it goes on. Times are in seconds of the monotonic clock; `decided`: 0 until it is let through."""

    request: ParsedRequest
    request_id: str
    began: float
    caller: User | None = None
    plan: Plan | None = None
    forward: Forward | None = None
    decided: float = 0.0
    refusal: Refusal | None = None
    progress: Progress = field(default_factory=Progress)

    def let_through(self, forward: Forward) -> None:
        """The decision was that it may go on."""
        self.forward, self.decided = forward, time.monotonic()

    @property
    def decision(self) -> Decision:
        """Whether it was let through; a request whose client left before was not."""
        late = self.refusal is not None and self.refusal.reason in _REFUSED_LATER
        return Decision.REFUSED if self.forward is None or late else Decision.ALLOWED

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

    def __init__(self, metrics: ProxyMetrics, access_log: AccessLog, audit_log: AuditLog | None = None) -> None:
        self._metrics = metrics
        self._access_log = access_log
        self._audit_log = audit_log
        self._ids = RequestIds()
        self._logs = access_log.enabled or audit_log is not None

    def begin(self, request: ParsedRequest) -> Record:
        """A request's head has arrived."""
        self._metrics.in_flight += 1
        return Record(request, self._ids.next(), time.monotonic())

    def end(self, record: Record) -> None:
        """The request is over, well or not."""
        progress = record.progress
        now = time.monotonic()
        duration = now - record.began
        upstream = progress.first_byte_at - record.began if progress.first_byte_at else 0.0
        plan = record.plan
        metrics = self._metrics.of(plan.key if plan else NO_CONNECTOR)
        metrics.count(plan.class_name if plan else "", record.request.head.method, record.status)
        metrics.duration.observe(duration)
        if progress.first_byte_at:
            metrics.upstream_duration.observe(upstream)
        metrics.bytes_in += progress.bytes_in
        metrics.bytes_out += progress.bytes_out
        self._metrics.in_flight -= 1
        if record.refusal:
            self._metrics.refused(record.refusal.reason)
        if self._logs:
            self._log(_line(record, duration, max(upstream, 0.0)), record)

    def malformed(self, refusal: Refusal) -> str:
        """A head that could not be parsed was refused: there is no request to speak of. Returns the id of what came."""
        self._metrics.refused(refusal.reason)
        request_id = self._ids.next()
        if self._logs:
            moment, reason = timestamp(time.time()), refusal.reason.value
            line = AccessLine(moment, "", "", "-", "-", refusal.status.value, 0, 0, 0.0, 0.0, reason, request_id)
            self._log(line, None)
        return request_id

    def _log(self, line: AccessLine, record: Record | None) -> None:
        if self._access_log.enabled:
            self._access_log.write(line)
        if self._audit_log:
            self._audit_log.write(_audited(line, record))


def _line(record: Record, duration: float, upstream: float) -> AccessLine:
    head, progress = record.request.head, record.progress
    return AccessLine(
        time=timestamp(time.time()),
        caller=str(record.caller or ""),
        connector=str(record.plan.key) if record.plan else "",
        method=head.method.decode("latin-1"),
        path=_path(head.target),
        status=record.status,
        bytes_in=progress.bytes_in,
        bytes_out=progress.bytes_out,
        duration=round(duration, 6),
        upstream=round(upstream, 6),
        reason=record.reason,
        request=record.request_id,
    )


def _path(target: bytes) -> str:
    """The path without query, and without an authority: both can hold credentials (threats 14 and 27)."""
    path = target.partition(b"?")[0]
    if not path.startswith(b"/"):
        return "-"
    return path[:_MAX_PATH].decode("latin-1")


def _audited(line: AccessLine, record: Record | None) -> AuditRecord:
    """What the access log says, and who, where to, and with which Secret. `record` is None for a malformed head."""
    return AuditRecord(
        time=line.time,
        request=line.request,
        caller=audit_caller(record.caller if record else None),
        connector=line.connector,
        connector_uid=record.plan.uid if record and record.plan else "",
        address=str(record.forward.target.address) if record and record.forward else "",
        method=line.method,
        path=line.path,
        decision=record.decision if record else Decision.REFUSED,
        reason=line.reason,
        status=line.status,
        bytes_in=line.bytes_in,
        bytes_out=line.bytes_out,
        duration=line.duration,
        authorization=round(record.decided - record.began, 6) if record and record.decided else line.duration,
        upstream=line.upstream,
        secret=_secret(record),
    )


def _secret(record: Record | None) -> UsedSecret | None:
    """The Secret of the credential that went to the tool."""
    plan = record.forward.plan if record and record.forward and record.progress.sent else None
    return UsedSecret(plan.secret_name, plan.secret_version) if plan and plan.secret_name else None
