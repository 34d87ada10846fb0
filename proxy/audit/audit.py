"""One record per request: metrics, the access log and the audit log, never a value."""

from __future__ import annotations

import secrets
import time
from functools import lru_cache
from itertools import count

from connectors.objects.reasons import Reason, Refusal
from connectors.objects.user import User
from connectors.plan import Plan
from proxy.audit.access_log import AccessLine, AccessLog, timestamp
from proxy.audit.audit_log import AuditLog, AuditRecord, Decision, UsedSecret, audit_caller
from proxy.decision import Forward
from proxy.metrics import NO_CONNECTOR, ProxyMetrics
from proxy.upstream import Load


class RequestIds:
    """What a user quotes and an operator finds in both logs: `PREFIX-NUMBER` in hexadecimal.

    The prefix is chosen by chance once per process: 64 bits, so that neither a restart nor another replica repeats an
    id. Within the process the number tells them apart. A random id would ask the kernel once a request.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        # Gives a number that no other request of this process has.
        self.take = count(1).__next__

    def text(self, number: int) -> str:
        """The id of the request that took this number."""
        return f"{self._prefix}-{number:x}"


# What nginx logs, and no client ever sees, for a request whose client left before an answer.
CLIENT_CLOSED_REQUEST = 499
# Characters of a path in the log.
_MAX_PATH = 512
# Refusals that can come behind the decision: of the address that is about to be dialled, of a limit that is reached.
_REFUSED_LATER = frozenset({Reason.TARGET_DENIED, Reason.LOOP_DETECTED, Reason.TOO_MANY_REQUESTS})


class Record:
    """One request while it runs, and what the audit reads of it however it ended.

    Times are in seconds of the monotonic clock, 0 until then: `decided`, that it was let through,
    `first_byte_at`, the tool's first byte. `target` is the client's, `number` that of the request's id. `answered` is
    the status that the tool gave, `sent` whether the request, credential included, went to the tool. `ending` names an
    end that the client was not told of in a status: "" for none. `load` is what it counts for, once it was let through
    and as long as it runs. Bytes are of bodies. What is set in the class is what
    has not come yet, or never comes: most requests set a few of these, and to set all of them took longer.
    """

    forward: Forward | None = None
    decided: float = 0.0
    refusal: Refusal | None = None
    answered: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    first_byte_at: float = 0.0
    sent: bool = False
    ending: str = ""
    load: Load | None = None

    def __init__(
        self,
        method: bytes,
        target: bytes,
        number: int,
        began: float,
        caller: User | None = None,
        plan: Plan | None = None,
    ) -> None:
        self.method = method
        self.target = target
        self.number = number
        self.began = began
        self.caller = caller
        self.plan = plan

    def __repr__(self) -> str:
        return f"Record({self.number})"  # its target can hold a caller's token

    @property
    def decision(self) -> Decision:
        """Whether it was let through; it was not if its client left before the decision."""
        late = self.refusal is not None and self.refusal.reason in _REFUSED_LATER
        return Decision.REFUSED if self.forward is None or late else Decision.ALLOWED

    @property
    def status(self) -> int:
        """The status that the client got; 499 if it left before."""
        if self.answered:
            return self.answered
        return self.refusal.status.value if self.refusal else CLIENT_CLOSED_REQUEST

    @property
    def reason(self) -> str:
        """Why the proxy answered itself, or how the exchange broke off; empty if all went well."""
        return self.refusal.reason.value if self.refusal else self.ending


class Audit:
    """Begins and ends records."""

    def __init__(self, metrics: ProxyMetrics, access_log: AccessLog, audit_log: AuditLog | None = None) -> None:
        self._metrics = metrics
        self._access_log = access_log
        self._audit_log = audit_log
        self._ids = RequestIds()
        self._logs = access_log.enabled or audit_log is not None

    def begin(
        self, method: bytes, target: bytes, now: float, caller: User | None = None, plan: Plan | None = None
    ) -> Record:
        """A request's head has arrived, at the monotonic time `now`; `caller` and `plan` where they are known."""
        self._metrics.in_flight += 1
        return Record(method, target, self._ids.take(), now, caller, plan)

    def request_id(self, record: Record) -> str:
        """What a user quotes, and an operator finds in the logs."""
        return self._ids.text(record.number)

    def end(self, record: Record, now: float) -> None:
        """The request is over, well or not, at the monotonic time `now`."""
        metrics, plan, began, first_byte_at = self._metrics, record.plan, record.began, record.first_byte_at
        duration, upstream = now - began, first_byte_at - began if first_byte_at else None
        metrics.in_flight -= 1
        if (load := record.load) is not None:
            load.requests -= 1
            record.load = None  # given back once: a defect that ends a request twice must not free another's place
        label = plan.class_name if plan is not None else "", record.method, record.answered or record.status
        numbers = metrics.of(plan.key if plan is not None else NO_CONNECTOR)
        numbers.count(label, duration, upstream, record.bytes_in, record.bytes_out)
        if record.refusal is not None:
            metrics.refused(record.refusal.reason)
        if self._logs:
            self._log(self._line(record, duration, upstream or 0.0), record)

    def malformed(self, refusal: Refusal) -> str:
        """Note that a head that could not be parsed was refused: no request has begun. Returns an id for the answer."""
        self._metrics.refused(refusal.reason)
        request_id = self._ids.text(self._ids.take())
        if self._logs:
            moment, reason = timestamp(time.time()), refusal.reason.value
            line = AccessLine(moment, "", "", "-", "-", refusal.status.value, 0, 0, 0.0, 0.0, reason, request_id)
            self._log(line, None)
        return request_id

    def _line(self, record: Record, duration: float, upstream: float) -> AccessLine:
        # By position: by name it takes twice as long.
        return AccessLine(
            timestamp(time.time()),
            str(record.caller) if record.caller is not None else "",
            _shown(record.plan.key) if record.plan is not None else "",
            record.method.decode("latin-1"),
            _path(record.target),
            record.status,
            record.bytes_in,
            record.bytes_out,
            duration,
            upstream,
            record.reason,
            self.request_id(record),
        )

    def _log(self, line: AccessLine, record: Record | None) -> None:
        if self._access_log.enabled:
            self._access_log.write(line)
        if self._audit_log:
            self._audit_log.write(_audited(line, record))


# A Connector as the logs name it.
_shown = lru_cache(maxsize=1024)(str)


def _path(target: bytes) -> str:
    """The path without query, and without an authority: both can hold credentials (threats 14 and 27)."""
    if target[:1] != b"/":
        return "-"
    end = target.find(b"?", 0, _MAX_PATH)
    return target[: end if end >= 0 else _MAX_PATH].decode("latin-1")


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
        duration=round(line.duration, 6),
        authorization=round(record.decided - record.began if record and record.decided else line.duration, 6),
        upstream=round(line.upstream, 6),
        secret=_secret(record),
    )


def _secret(record: Record | None) -> UsedSecret | None:
    """The Secret of the credential that went to the tool."""
    plan = record.forward.plan if record and record.forward and record.sent else None
    return UsedSecret(plan.secret_name, plan.secret_version) if plan and plan.secret_name else None
