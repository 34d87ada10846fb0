from __future__ import annotations

import datetime

import pytest
import trustme

from connectors.tls.certificates import Bundle, read_pem
from connectors.trust import OwnAuthority
from controller.conditions import ca_condition, invalid_message, left_out

CA = trustme.CA()
ENDS = datetime.datetime(2031, 5, 1, 12, tzinfo=datetime.UTC)
LEAF = CA.issue_cert("tool.example", not_after=ENDS).cert_chain_pems[0].bytes()
LOADED = 'CA certificate loaded from secret "ca", expires 2031-05-01T12:00:00Z'
JUNK = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def bundle(raw: bytes) -> Bundle:
    return read_pem(raw)


@pytest.mark.parametrize(
    ("authority", "status", "reason", "message"),
    [
        (
            OwnAuthority(),
            "True",
            "NoCACert",
            "spec.caCertSecretRef is not set; the CAs that are trusted for all count",
        ),
        (
            OwnAuthority("ca", bundle(LEAF)),
            "True",
            "Valid",
            LOADED,
        ),
        (
            OwnAuthority("ca", bundle(LEAF + CA.cert_pem.bytes())),
            "True",
            "Valid",
            '2 CA certificates loaded from secret "ca", the first expires 2031-05-01T12:00:00Z',
        ),
        (
            OwnAuthority("ca", bundle(LEAF + JUNK)),
            "True",
            "Valid",
            f"{LOADED}; left out: ca.crt: certificate 2 is not X.509",
        ),
        (OwnAuthority("ca"), "False", "SecretNotFound", 'secrets "ca" not found; create it in namespace team'),
        (
            OwnAuthority("ca", bundle(JUNK)),
            "False",
            "InvalidPEM",
            'Secret "ca" contains invalid PEM data: ca.crt: certificate 1 is not X.509',
        ),
        (
            OwnAuthority("ca", Bundle()),
            "False",
            "InvalidPEM",
            'Secret "ca" contains invalid PEM data: it has no key that ends in .crt or .pem, and no value in PEM',
        ),
        (OwnAuthority("ca", None, "not read yet"), "Unknown", "SecretPending", "not read yet"),
    ],
)
def test_each_row(authority: OwnAuthority, status: str, reason: str, message: str) -> None:
    found = ca_condition(authority, "team")
    assert (found.type, found.status, found.reason, found.message) == ("CACertReady", status, reason, message)
    assert found.severity == "Info"


def test_a_message_is_bounded() -> None:
    found = ca_condition(OwnAuthority("ca", Bundle(problems=("x" * 500,) * 9)), "team")
    assert len(found.message.encode()) <= 1024


def test_what_is_said_of_a_secret() -> None:
    assert invalid_message("ca", ["a", "b"]) == 'Secret "ca" contains invalid PEM data: a; b'
    assert left_out(["a", "b"]) == "left out: a; b"
