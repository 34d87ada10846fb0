from __future__ import annotations

import errno
import socket
import ssl

import pytest

from connectors.dial.failure import DeniedError, LookupTimeoutError, OwnAddressError, dial_failure, exchange_failure
from connectors.dial.kind import FailureKind
from connectors.dial.resolver import MAX_LOOKUPS, TooManyLookupsError
from connectors.http.message import MessageError
from connectors.objects.addresses import parse_address

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
    ("error", "kind", "says"),
    [
        (verification("certificate has expired"), FailureKind.TLS, "is not trusted: certificate has expired"),
        (verification("self-signed certificate"), FailureKind.TLS, "self-signed certificate"),
        (tls("WRONG_VERSION_NUMBER"), FailureKind.TLS, "wrong version number"),
        (tls(None), FailureKind.TLS, "handshake failed"),
        (ConnectionAbortedError("SSL handshake is taking too long"), FailureKind.TLS, "ended the TLS handshake"),
        (TimeoutError(), FailureKind.TIMEOUT, "did not accept a connection in time"),
        (LookupTimeoutError(), FailureKind.TIMEOUT, "name server"),
        (socket.gaierror(-2, "Name or service not known"), FailureKind.DNS, "does not resolve"),
        (TooManyLookupsError(), FailureKind.BUSY, "not the tool's fault"),
        (ConnectionRefusedError(111, "refused"), FailureKind.REFUSED, "is the tool running"),
        (OSError(errno.EHOSTUNREACH, "x"), FailureKind.UNREACHABLE, "No route to host"),
        (ConnectionResetError(), FailureKind.UNREACHABLE, "connection failed"),
        (DeniedError("link-local, loopback"), FailureKind.DENIED, "may not be dialled (link-local, loopback)"),
        (OwnAddressError(), FailureKind.DENIED, ":8443 is a port of the Connectors installation itself"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OSError) else "",
)
def test_each_failure_has_its_kind(error: OSError, kind: FailureKind, says: str) -> None:
    failure = dial_failure(error, HTTPS)
    assert failure.kind is kind
    assert says in failure.message
    assert "tool.example" in failure.message
    assert "secret-path" not in failure.message


def test_an_abort_without_tls_is_no_matter_of_tls() -> None:
    assert dial_failure(ConnectionAbortedError(103, "x"), HTTP).kind is FailureKind.UNREACHABLE


def test_a_message_is_the_same_whichever_address_was_tried() -> None:
    # asyncio writes the address that was tried in the place of the system's words.
    tried = [OSError(errno.ENETUNREACH, f"Connect call failed ('192.0.2.{number}', 8443)") for number in (1, 2)]
    first, second = (dial_failure(error, HTTPS).message for error in tried)
    assert first == second == "tool.example:8443 cannot be reached: Network is unreachable"


DIALLING = [
    (ConnectionRefusedError(errno.ECONNREFUSED, "secret"), FailureKind.REFUSED),
    (TimeoutError(errno.ETIMEDOUT, "secret"), FailureKind.TIMEOUT),
    (socket.gaierror(-2, "secret"), FailureKind.DNS),
    (ssl.SSLError(1, "secret"), FailureKind.TLS),
    (DeniedError("loopback"), FailureKind.DENIED),
    (TooManyLookupsError(f"{MAX_LOOKUPS} names"), FailureKind.BUSY),
    (OSError(errno.EMFILE, "secret"), FailureKind.UNREACHABLE),
]
EXCHANGE: list[tuple[MessageError | OSError, FailureKind, FailureKind]] = [
    (MessageError("secret"), FailureKind.PROTOCOL, FailureKind.PROTOCOL),
    (ConnectionResetError(errno.ECONNRESET, "secret"), FailureKind.UNREACHABLE, FailureKind.PROTOCOL),
    (BrokenPipeError(errno.EPIPE, "secret"), FailureKind.UNREACHABLE, FailureKind.PROTOCOL),
    (ConnectionAbortedError("secret"), FailureKind.UNREACHABLE, FailureKind.PROTOCOL),
    (ssl.SSLError(1, "secret"), FailureKind.TLS, FailureKind.TLS),
    (TimeoutError(errno.ETIMEDOUT, "secret"), FailureKind.UNREACHABLE, FailureKind.UNREACHABLE),
    (OSError("secret"), FailureKind.UNREACHABLE, FailureKind.UNREACHABLE),
]
"""Beside each its kind before a byte of the answer has come, and behind one."""


def test_t14_every_exception_has_its_kind_and_none_of_its_words_get_through() -> None:
    found = [(dial_failure(error, HTTPS), kind) for error, kind in DIALLING]
    for error, *kinds in EXCHANGE:
        found += [(exchange_failure(error, HTTPS, begun=begun), kinds[begun]) for begun in (False, True)]
    for failure, kind in found:
        assert failure.kind is kind
        assert "tool.example" in failure.message
        assert "secret" not in failure.message
