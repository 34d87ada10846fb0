"""What can go wrong when the API server is asked. Messages are the server's own and never hold a Secret's value."""

from __future__ import annotations

from msgspec import DecodeError as BrokenJsonError
from msgspec import Struct, ValidationError, field, json

# Seconds. What is in between names a Retry-After too (RFC 9110, 10.2.3), and a day of waiting helps no one.
LONGEST_WAIT = 60.0


class KubeError(Exception):
    """A request to the API server failed."""


class UnavailableError(KubeError):
    """No answer that says anything about the object: unreachable, timed out, 429, 5xx. To be tried again.

    `retry_after` is in seconds, where the server named a time; beyond LONGEST_WAIT it is not believed.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = None if retry_after is None else min(retry_after, LONGEST_WAIT)


class ConnectionLostError(UnavailableError):
    """The connection, often one that was kept, ended before an answer: the request may have been carried out."""


class SilentError(UnavailableError):
    """A watch that was open brought nothing for a while: nothing has happened, or the connection is dead."""


class UnreadableError(KubeError):
    """An answer of success that is not about the question. Neither asking again nor another question helps."""


class ApiStatusError(KubeError):
    """The server answered with a metav1.Status of failure. `reason` is its machine-readable reason."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class UnauthorizedError(ApiStatusError):
    """401, after the credentials were read again and the request repeated."""


class ForbiddenError(ApiStatusError):
    """403: RBAC, quota, or a namespace that is being deleted."""


class NotFoundError(ApiStatusError):
    """404."""


class AlreadyExistsError(ApiStatusError):
    """409 with reason AlreadyExists."""


class ConflictError(ApiStatusError):
    """409 otherwise: another resourceVersion or uid than the one named."""


class GoneError(ApiStatusError):
    """410: the resourceVersion or continue token is too old; list again."""


class InvalidError(ApiStatusError):
    """422: the object breaks a rule."""


# Characters of a server's message that are kept: a webhook may answer with a page.
MESSAGE_LENGTH = 500

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
    """metav1.Status, as far as it is read (Kubernetes API conventions, "Response Status Kind")."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = field(default=None)


def failure(code: int, body: bytes, retry_after: str = "") -> KubeError:
    """The error for an HTTP status other than success, or for the object of a watch's ERROR event (`code` 0).

    `retry_after` is the header's text; only its form in seconds is read. A body other than a Status is not quoted.
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
