"""What the audit log says of one request: names and numbers.

Never a header's value, a query, a token or a Secret's value (threats 14 and 27).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from connectors.model.user import User


class Decision(StrEnum):
    """Whether the request was let through to the tool."""

    ALLOWED = "allowed"
    REFUSED = "refused"


class AuditCaller(msgspec.Struct, frozen=True):
    """Who asked. `user` is the whole name, `system:serviceaccount:NAMESPACE:NAME` for a ServiceAccount."""

    user: str
    uid: str
    groups: tuple[str, ...]
    pod: str


class UsedSecret(msgspec.Struct, frozen=True):
    """The Secret, of the Connector's own namespace, whose credential was put on the request."""

    name: str
    resource_version: str


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Durations in seconds: `duration` to its end, `authorization` until the decision, `upstream` until the tool's first
    byte, 0 where there was none. Bytes are of bodies. `address` is the tool's, as declared, where one was chosen.
    `caller` is None where nobody is asked or nobody valid has answered, `secret` where none was used.
    """

    time: str
    request: str
    caller: AuditCaller | None
    connector: str
    connector_uid: str
    address: str
    method: str
    path: str
    decision: Decision
    reason: str
    status: int
    bytes_in: int
    bytes_out: int
    duration: float
    authorization: float
    upstream: float
    secret: UsedSecret | None


def audit_caller(user: User | None) -> AuditCaller | None:
    """The caller as the audit log names them."""
    if user is None:
        return None
    return AuditCaller(user.username, user.uid, user.groups or (), user.pod)
