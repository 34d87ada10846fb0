from __future__ import annotations

import socket
import ssl

import pytest

from connectors.dial.failure import DeniedError, LookupTimeoutError, dial_failure
from connectors.dial.kind import FailureKind
from connectors.objects.addresses import parse_address
from connectors.objects.reasons import Reason
from proxy.dialling import REASONS, dial_refusal

HTTPS = parse_address("https://tool.example:8443/secret-path")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ssl.SSLEOFError(8, "EOF"), Reason.UPSTREAM_TLS),
        (TimeoutError(), Reason.UPSTREAM_TIMEOUT),
        (LookupTimeoutError(), Reason.UPSTREAM_TIMEOUT),
        (socket.gaierror(-2, "Name or service not known"), Reason.UPSTREAM_UNREACHABLE),
        (ConnectionRefusedError(111, "refused"), Reason.UPSTREAM_UNREACHABLE),
        (OSError(113, "No route to host"), Reason.UPSTREAM_UNREACHABLE),
        (DeniedError("loopback"), Reason.TARGET_DENIED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OSError) else "",
)
def test_each_failure_has_its_refusal_in_the_same_words(error: OSError, reason: Reason) -> None:
    refusal = dial_refusal(error, HTTPS)
    assert refusal.reason is reason
    assert refusal.message == dial_failure(error, HTTPS).message


def test_every_kind_of_failure_has_its_reason() -> None:
    assert set(REASONS) == set(FailureKind)
