"""From an answer of failure to one of connectors/kube/errors.py (API conventions, "Response status kind")."""

from __future__ import annotations

from msgspec import DecodeError as BrokenJsonError
from msgspec import Struct, ValidationError, field, json

from connectors.kube.errors import (
    AlreadyExistsError,
    ApiStatusError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)

MESSAGE_LENGTH = 500
"""Characters of a server's message that are kept: a webhook may answer with a page."""

_Kind = type[ApiStatusError] | type[UnavailableError]

BY_REASON: dict[str, _Kind] = {
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
    "Expired": GoneError,
    "Forbidden": ForbiddenError,
    "Gone": GoneError,
    "InternalError": UnavailableError,
    "Invalid": InvalidError,
    "NotFound": NotFoundError,
    "ServerTimeout": UnavailableError,
    "ServiceUnavailable": UnavailableError,
    "Timeout": UnavailableError,
    "TooManyRequests": UnavailableError,
    "Unauthorized": UnauthorizedError,
}
BY_CODE: dict[int, _Kind] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    408: UnavailableError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: UnavailableError,
}


class _Details(Struct, rename="camel"):
    retry_after_seconds: int = 0


class _Status(Struct):
    """metav1.Status, as far as it is read."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = field(default=None)


def failure(code: int, body: bytes, retry_after: str = "") -> KubeError:
    """The error for an HTTP status that is no success, or for the object of a watch's ERROR event (`code` 0).

    `retry_after` is the header's text; only its form in seconds is read. A body that is no Status is not quoted.
    """
    try:
        status = json.decode(body, type=_Status)
    except (ValidationError, BrokenJsonError, UnicodeDecodeError):
        hint = ": no such resource; are the CustomResourceDefinitions applied?" if code == 404 else ""
        status = _Status(message=f"HTTP {code} without a metav1.Status{hint}")
    code = code or status.code
    message = status.message[:MESSAGE_LENGTH] or f"HTTP {code} {status.reason}".strip()
    kind = BY_REASON.get(status.reason) or BY_CODE.get(code) or (UnavailableError if code >= 500 else ApiStatusError)
    if issubclass(kind, ApiStatusError):
        return kind(code, status.reason, message)
    seconds = float(retry_after) if retry_after.isdecimal() else 0.0
    if not seconds and status.details:
        seconds = float(status.details.retry_after_seconds)
    return UnavailableError(message, seconds or None)
