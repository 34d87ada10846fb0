"""The audit log: one JSON object a request, a line each, written in batches on a stream of its own.

No request ever fails because of it: a record that cannot be written is counted, and the log says so once a minute.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from connectors.objects.user import User
from proxy.audit.audit_file import AuditFile


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
    """One request: names and numbers, never a header's value, a query, a token or a Secret's value (threats 14 and 27).

    Durations in seconds: `duration` to its end, `authorization` until the decision, `upstream` until the tool's first
    byte, 0 if there was none. Bytes are of bodies. `address` is the tool's, as declared, where one was chosen.
    `caller` is None if callers are not asked, or no valid answer came, `secret` where none was used.
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


logger = logging.getLogger(__name__)

# Seconds between two complaints: a full disk must not fill the log as well.
SILENCE = 60.0

_LOST = "audit records are lost: cannot write to %s: %s"
_NOT_OPENED = "cannot open %s again: %s; audit records go on into the file that had this name, as long as there is one"


class AuditLogError(Exception):
    """The audit log cannot be opened; the message says which, why, and what to do."""


class AuditLog:
    """Appends records once per turn of the event loop, as the access log does."""

    def __init__(self, file: AuditFile, on_lost: Callable[[int], None]) -> None:
        """`on_lost` hears how many records could not be written."""
        self._file = file
        self._on_lost = on_lost
        self._lines: list[bytes] = []
        self._torn = False
        self._silent_until = 0.0

    def open(self) -> None:
        """Open the file.

        Raises:
            AuditLogError: it cannot be opened.
        """
        try:
            self._file.open()
            self._torn = self._file.torn
        except OSError as error:
            message = f"cannot write to {self._file}: {_cause(error)}; choose another file with --audit-log"
            raise AuditLogError(message) from error

    def write(self, record: AuditRecord) -> None:
        """Queue one record."""
        if not self._lines:
            asyncio.get_running_loop().call_soon(self.flush)
        self._lines.append(msgspec.json.encode(record) + b"\n")

    def flush(self) -> None:
        """Write what is queued, to the file that bears the name now."""
        if self._lines:
            lines, self._lines = self._lines, []
            self.follow()
            self._append(lines)

    def follow(self) -> None:
        """Notice that the file was renamed or removed, also while no request comes."""
        try:
            if self._file.follow():
                self._torn = self._file.torn
        except OSError as error:
            self._complain(_NOT_OPENED, error)

    def reopen(self) -> None:
        """Go on in the file that bears the name now, as a hang-up asks for."""
        try:
            self._file.open()
            self._torn = self._file.torn
        except OSError as error:
            self._complain(_NOT_OPENED, error)

    def close(self) -> None:
        """Write what is queued and close the file; a record that comes later opens it again."""
        self.flush()
        self._file.close()

    def _append(self, lines: Sequence[bytes]) -> None:
        # Behind a record that was cut off, the next one begins on a line of its own.
        start = b"\n" if self._torn else b""
        data, written = start + b"".join(lines), 0
        try:
            while written < len(data):
                written += self._file.append(data[written:])
        except OSError as error:
            self._on_lost(_unwritten(lines, written - len(start)))
            self._complain(_LOST, error)
        if written:
            self._torn = not data.endswith(b"\n", 0, written)

    def _complain(self, what: str, error: OSError) -> None:
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + SILENCE
            logger.error(what, self._file, _cause(error))


def _unwritten(lines: Sequence[bytes], written: int) -> int:
    """How many of `lines` are missing or cut off if only `written` bytes of them were written."""
    for position, line in enumerate(lines):
        written -= len(line)
        if written < 0:
            return len(lines) - position
    return 0


def _cause(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else "it was removed and cannot be created again"
