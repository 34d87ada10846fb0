from __future__ import annotations

import socket
import ssl

import pytest

from connectors.dialing.failure import DeniedError, FailureKind, LookupTimeoutError
from connectors.model.addresses import parse_address
from connectors.model.reasons import Reason
from proxy.failures import REASONS, dial_refusal

HTTPS, HTTP = parse_address("https://tool.example:8443/secret-path"), parse_address("http://tool.example:8080")


def verification(message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = message
    return error


def tls(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "x")
    error.reason = reason  # type: ignore[assignment]  # None is what some OpenSSL errors have
    return error


@pytest.mark.parametrize(
    ("error", "reason", "says"),
    [
        (verification("self-signed certificate"), Reason.UPSTREAM_TLS, "self-signed certificate"),
        (tls("WRONG_VERSION_NUMBER"), Reason.UPSTREAM_TLS, "wrong version number"),
        (tls(None), Reason.UPSTREAM_TLS, "handshake failed"),
        (ssl.SSLEOFError(8, "EOF"), Reason.UPSTREAM_TLS, "no TLS"),
        (TimeoutError(), Reason.UPSTREAM_TIMEOUT, "in time"),
        (LookupTimeoutError(), Reason.UPSTREAM_TIMEOUT, "name server"),
        (socket.gaierror(-2, "Name or service not known"), Reason.UPSTREAM_UNREACHABLE, "does not resolve"),
        (ConnectionRefusedError(111, "refused"), Reason.UPSTREAM_UNREACHABLE, "is the tool running"),
        (ConnectionAbortedError("SSL handshake is taking too long"), Reason.UPSTREAM_TLS, "ended the TLS handshake"),
        (ConnectionResetError(), Reason.UPSTREAM_UNREACHABLE, "connection failed"),
        (OSError(113, "No route to host"), Reason.UPSTREAM_UNREACHABLE, "No route to host"),
        (DeniedError("loopback"), Reason.TARGET_DENIED, "loopback"),
        (ConnectionError("no address found"), Reason.UPSTREAM_UNREACHABLE, "connection failed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OSError) else "",
)
def test_each_failure_has_its_refusal(error: OSError, reason: Reason, says: str) -> None:
    refusal = dial_refusal(error, HTTPS)
    assert refusal.reason is reason
    assert says in refusal.message
    assert "tool.example" in refusal.message
    assert "secret-path" not in refusal.message


def test_an_abort_without_tls_is_no_matter_of_tls() -> None:
    refusal = dial_refusal(ConnectionAbortedError(103, "Software caused connection abort"), HTTP)
    assert refusal.reason is Reason.UPSTREAM_UNREACHABLE


def test_every_kind_of_failure_has_its_reason() -> None:
    assert set(REASONS) == set(FailureKind)
