"""What can go wrong when the API server is asked. Messages are the server's own and never hold a Secret's value."""

from __future__ import annotations

LONGEST_WAIT = 60.0
"""Seconds. What is in between names a Retry-After too (RFC 9110, 10.2.3), and a day of waiting helps nobody."""


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
    """An answer of success that is not about what was asked. To ask again helps no more than to ask others."""


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
