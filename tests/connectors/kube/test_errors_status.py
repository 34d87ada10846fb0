from __future__ import annotations

import json

import pytest

from connectors.kube.errors import (
    MESSAGE_LENGTH,
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
    failure,
)


def status(code: int, reason: str, message: str = "said so", details: dict[str, int] | None = None) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (400, "BadRequest", ApiStatusError),
        (401, "Unauthorized", UnauthorizedError),
        (403, "Forbidden", ForbiddenError),
        (404, "NotFound", NotFoundError),
        (404, "", NotFoundError),
        (408, "", UnavailableError),
        (409, "AlreadyExists", AlreadyExistsError),
        (409, "Conflict", ConflictError),
        (409, "", ConflictError),
        (410, "Expired", GoneError),
        (410, "Gone", GoneError),
        (422, "Invalid", InvalidError),
        (429, "TooManyRequests", UnavailableError),
        (500, "InternalError", UnavailableError),
        (500, "ServerTimeout", UnavailableError),
        (503, "", UnavailableError),
        (504, "Timeout", UnavailableError),
        (302, "", ApiStatusError),
    ],
)
def test_reason_and_code_choose_the_error(code: int, reason: str, kind: type[KubeError]) -> None:
    error = failure(code, status(code, reason))
    assert type(error) is kind
    assert str(error) == "said so"


def test_an_error_event_has_its_code_in_the_body() -> None:
    error = failure(0, status(410, "Expired"))
    assert isinstance(error, GoneError)
    assert error.code == 410


@pytest.mark.parametrize("body", [b"", b"<html>gateway canary-secret</html>", b"[]", b"\xff", b'{"code": "x"}'])
def test_a_body_that_is_no_status_is_not_quoted(body: bytes) -> None:
    error = failure(502, body)
    assert isinstance(error, UnavailableError)
    assert str(error) == "HTTP 502 without a metav1.Status"


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [("3", {}, 3.0), ("", {"retryAfterSeconds": 4}, 4.0), ("soon", {}, None), ("-1", {}, None), ("", {}, None)],
)
def test_retry_after(header: str, details: dict[str, int], seconds: float | None) -> None:
    error = failure(429, status(429, "TooManyRequests", details=details), header)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == seconds


def test_a_message_has_a_length() -> None:
    assert len(str(failure(403, status(403, "Forbidden", "x" * 9999)))) == MESSAGE_LENGTH


def test_a_resource_that_is_not_there_yet_has_a_hint() -> None:
    error = failure(404, b"404 page not found\n")
    assert isinstance(error, NotFoundError)
    assert "CustomResourceDefinitions" in str(error)
