"""One vocabulary of reasons: refusals, conditions, metric labels and docs all name things from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from connectors.objects.ceilings import Ceiling


class Reason(StrEnum):
    """Why the proxy refused a request itself, as `X-Connectors-Reason` says it (docs/reasons.md)."""

    CONNECTOR_NOT_FOUND = "ConnectorNotFound"
    UNAUTHENTICATED = "Unauthenticated"
    AUTHENTICATION_UNAVAILABLE = "AuthenticationUnavailable"
    FORBIDDEN = "Forbidden"
    CONNECTOR_INVALID = "ConnectorInvalid"
    CREDENTIAL_UNAVAILABLE = "CredentialUnavailable"
    ADDRESS_NOT_DECLARED = "AddressNotDeclared"
    TARGET_DENIED = "TargetDenied"
    LOOP_DETECTED = "LoopDetected"
    UPSTREAM_UNREACHABLE = "UpstreamUnreachable"
    UPSTREAM_TLS = "UpstreamTLS"
    UPSTREAM_PROTOCOL = "UpstreamProtocol"
    UPSTREAM_TIMEOUT = "UpstreamTimeout"
    REQUEST_MALFORMED = "RequestMalformed"
    HEAD_TOO_LARGE = "HeadTooLarge"
    URI_TOO_LONG = "URITooLong"
    METHOD_NOT_ALLOWED = "MethodNotAllowed"
    TOO_MANY_REQUESTS = "TooManyRequests"
    SHUTTING_DOWN = "ShuttingDown"


class ConditionReason(StrEnum):
    """Why a condition has its status (docs/reasons.md)."""

    CONNECTOR_CLASS_NOT_FOUND = "ConnectorClassNotFound"
    CONNECTOR_CLASS_INVALID = "ConnectorClassInvalid"
    CONNECTOR_INVALID = "ConnectorInvalid"
    SECRET_OPTIONAL = "SecretOptional"  # noqa: S105 - a name
    SECRET_PENDING = "SecretPending"  # noqa: S105 - a name
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - a name
    SECRET_TYPE_MISMATCH = "SecretTypeMismatch"  # noqa: S105 - a name
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105 - a name
    SECRET_KEY_INVALID = "SecretKeyInvalid"  # noqa: S105 - a name
    NON_LIVENESS_PROBE = "NonLivenessProbe"
    NON_AUTH_PROBE = "NonAuthProbe"
    NON_PROXY = "NonProxy"
    PROXY_SERVICE_PENDING = "ProxyServicePending"
    PROXY_SERVICE_NOT_FOUND = "ProxyServiceNotFound"
    PROXY_SERVICE_CONFLICT = "ProxyServiceConflict"
    PROXY_SERVICE_FAILED = "ProxyServiceFailed"
    INJECTION_NOT_SUPPORTED = "InjectionNotSupported"
    NON_API = "NonAPI"
    API_SERVICE_NOT_FOUND = "APIServiceNotFound"
    PROBE_PENDING = "ProbePending"
    CONNECTION_FAILED = "ConnectionFailed"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    UNEXPECTED_STATUS = "UnexpectedStatus"
    EXPRESSION_FALSE = "ExpressionFalse"
    EXPRESSION_ERROR = "ExpressionError"
    TEMPLATE_ERROR = "TemplateError"
    ADDRESS_NOT_DECLARED = "AddressNotDeclared"
    TARGET_DENIED = "TargetDenied"
    VALID = "Valid"
    NO_CA_CERT = "NoCACert"
    INVALID_PEM = "InvalidPEM"


# The one total table from a refusal to its HTTP status; a test asserts that it and docs/reasons.md are complete.
HTTP_STATUS: dict[Reason, HTTPStatus] = {
    Reason.CONNECTOR_NOT_FOUND: HTTPStatus.NOT_FOUND,
    Reason.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Reason.AUTHENTICATION_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Reason.CONNECTOR_INVALID: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.CREDENTIAL_UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Reason.ADDRESS_NOT_DECLARED: HTTPStatus.BAD_REQUEST,
    Reason.TARGET_DENIED: HTTPStatus.FORBIDDEN,
    Reason.LOOP_DETECTED: HTTPStatus.LOOP_DETECTED,
    Reason.UPSTREAM_UNREACHABLE: HTTPStatus.BAD_GATEWAY,
    Reason.UPSTREAM_TLS: HTTPStatus.BAD_GATEWAY,
    Reason.UPSTREAM_PROTOCOL: HTTPStatus.BAD_GATEWAY,
    Reason.UPSTREAM_TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Reason.REQUEST_MALFORMED: HTTPStatus.BAD_REQUEST,
    Reason.HEAD_TOO_LARGE: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    Reason.URI_TOO_LONG: HTTPStatus.REQUEST_URI_TOO_LONG,
    Reason.METHOD_NOT_ALLOWED: HTTPStatus.METHOD_NOT_ALLOWED,
    Reason.TOO_MANY_REQUESTS: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.SHUTTING_DOWN: HTTPStatus.SERVICE_UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason of the vocabulary and one sentence for a person; the sentence never quotes what the caller sent.

    `ceiling`: which of its Connector's has been reached, None if it is refused for another reason.
    `retry_after`: of a 429, the seconds after which the request may be sent again (RFC 6585 section 4).
    """

    reason: Reason
    message: str
    ceiling: Ceiling | None = None
    retry_after: int = 1

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of the answer."""
        return HTTP_STATUS[self.reason]

    def as_status(self) -> dict[str, object]:
        """The answer's body (Kubernetes API conventions, "Response Status Kind")."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.value,
            "code": self.status.value,
        }


class RefusedError(Exception):
    """Carries a Refusal from where it was made to where it is answered (proxy/exchange.py)."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason.value)
        self.refusal = refusal
