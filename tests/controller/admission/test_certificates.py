from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.objects.secret import SecretValue
from controller.admission.certificates import (
    Material,
    carried_out,
    data_of,
    fingerprints,
    held,
    issue,
    make_authority,
    material_of,
    trusted,
)
from controller.admission.renewal import BACKDATE, NOTHING_PUBLISHED, Action, Times, names_of_next, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("connectors-webhook-service.connectors-system.svc", "localhost", "127.0.0.1")
TIMES = Times()


def started() -> Material:
    return carried_out(Action.START_ANEW, Material(), NAMES, TIMES, NOW)


def test_what_is_made_can_be_read() -> None:
    found = held(started())
    (authority,) = found.authorities
    assert found.can_sign
    assert found.leaf is not None
    assert found.leaf.issuer == authority.fingerprint
    assert found.leaf.names == frozenset(NAMES)
    assert (authority.begins, authority.ends) == (NOW, NOW + TIMES.authority_life)
    assert (found.leaf.begins, found.leaf.ends) == (NOW, NOW + TIMES.leaf_life)


def test_it_is_what_tls_wants() -> None:
    made = started()
    leaf, authority = (x509.load_pem_x509_certificate(pem) for pem in (made.leaf, made.bundle))
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.not_valid_before_utc == NOW - BACKDATE
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [item.dotted_string for item in usage] == ["1.3.6.1.5.5.7.3.1"]


def test_a_strict_client_takes_it(tmp_path: Path) -> None:
    made = carried_out(Action.START_ANEW, Material(), NAMES, TIMES, datetime.now(UTC))
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.load_verify_locations(cadata=made.bundle.decode())
    assert made.leaf_key is not None
    (tmp_path / "pair").write_bytes(made.leaf + made.leaf_key.reveal())
    server.load_cert_chain(tmp_path / "pair")
    wires = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        client.wrap_bio(wires[0], wires[1], server_hostname=NAMES[0]),
        server.wrap_bio(wires[1], wires[0], server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].getpeercert()


def test_a_certificate_does_not_outlive_its_authority() -> None:
    authority = make_authority(NOW, timedelta(days=30))
    issued = x509.load_pem_x509_certificate(issue(authority, NAMES, NOW, timedelta(days=90)).chain)
    assert issued.not_valid_after_utc == NOW + timedelta(days=30)


def test_two_authorities_have_two_names() -> None:
    pems = [make_authority(NOW, TIMES.authority_life).chain for _ in range(2)]
    assert len({x509.load_pem_x509_certificate(pem).subject.rfc4514_string() for pem in pems}) == 2


def test_a_new_authority_stands_in_front_and_the_certificate_stays() -> None:
    before = started()
    after = carried_out(Action.ADD_AUTHORITY, before, NAMES, TIMES, NOW + timedelta(days=1))
    assert (after.leaf, after.leaf_key) == (before.leaf, before.leaf_key)
    assert after.bundle.endswith(before.bundle)
    found = held(after)
    assert found.can_sign
    assert found.leaf is not None
    assert found.leaf.issuer == found.authorities[1].fingerprint
    issued = carried_out(Action.ISSUE, after, NAMES, TIMES, NOW + timedelta(days=2))
    assert held(issued).leaf != found.leaf
    dropped = carried_out(Action.DROP_OLD, issued, NAMES, TIMES, NOW + timedelta(days=3))
    assert fingerprints(dropped.bundle) == {found.authorities[0].fingerprint}
    newest = held(dropped).leaf
    assert newest is not None
    assert newest.issuer == found.authorities[0].fingerprint


def test_authorities_that_ended_are_not_kept() -> None:
    later = NOW + TIMES.authority_life
    assert len(held(carried_out(Action.START_ANEW, started(), NAMES, TIMES, later)).authorities) == 1


def test_waiting_changes_nothing() -> None:
    before = started()
    assert carried_out(Action.WAIT, before, NAMES, TIMES, NOW) is before


def test_it_comes_back_from_the_secret() -> None:
    before = started()
    data = {name: SecretValue(base64.b64decode(text)) for name, text in data_of(before).items()}
    assert data.keys() == {"ca.crt", "ca.key", "tls.crt", "tls.key"}
    after = material_of(data)
    assert (after.bundle, after.leaf) == (before.bundle, before.leaf)
    assert held(after) == held(before)
    assert after.serving is not None


def test_an_empty_secret() -> None:
    assert held(material_of({})) == held(Material())
    assert Material().serving is None
    assert held(Material()).authorities == ()


RSA = b"""-----BEGIN PRIVATE KEY-----
MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEA
-----END PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"\xff\x00", RSA, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_t24_what_cannot_be_read_is_as_good_as_missing(name: str, junk: bytes) -> None:
    made = started()
    data = {key: SecretValue(base64.b64decode(text)) for key, text in data_of(made).items()}
    found = held(material_of({**data, name: SecretValue(junk)}))
    whole = held(made)
    assert found != whole
    assert found.can_sign is (name in {"tls.crt", "tls.key"})
    if name in {"tls.crt", "tls.key"}:
        assert found.leaf is None


FOREIGN = b"""-----BEGIN CERTIFICATE-----
MIIBaDCCARagAwIBAgIUaqbSP8sL6bJzPAVl/NJzFVPIRSYwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHZm9yZWlnbjAgFw0yNjExMjUxOTM4MTNaGA8yMTI2MTEwMTE5
MzgxM1owEjEQMA4GA1UEAwwHZm9yZWlnbjBOMBAGByqGSM49AgEGBSuBBAAgAzoA
BJ83oX6Cfcaof+DkIedsqEGysPGbi9YAf1dJ6KYFY9W+TExIiH/Q123xohKKTIka
DlIZpG1zsfxQo1MwUTAdBgNVHQ4EFgQU2by17cH4QlGwZhOiUnXFMR5wTcswHwYD
VR0jBBgwFoAU2by17cH4QlGwZhOiUnXFMR5wTcswDwYDVR0TAQH/BAUwAwEB/zAK
BggqhkjOPQQDAgNAADA9AhwySznAnNhYLq3s1p1vhDny2E+WKs20rtMpLG/IAh0A
upazFiGuy6WjEoD2550b2q3cg+I4eQ3MXJPgJQ==
-----END CERTIFICATE-----
"""
"""Of a curve that `cryptography` does not know, secp224k1."""
FOREIGN_KEY = b"""-----BEGIN PRIVATE KEY-----
MHkCAQAwEAYHKoZIzj0CAQYFK4EEACAEYjBgAgEBBB0AG7QvgiCzPA1t2AD9o0Zs
EIGaXak9Iho9UD/UuKE8AzoABJ83oX6Cfcaof+DkIedsqEGysPGbi9YAf1dJ6KYF
Y9W+TExIiH/Q123xohKKTIkaDlIZpG1zsfxQ
-----END PRIVATE KEY-----
"""


@pytest.mark.parametrize("name", ["ca.crt", "ca.key", "tls.crt", "tls.key"])
def test_t24_a_curve_that_nobody_knows_is_as_good_as_missing(name: str) -> None:
    made = started()
    data = {key: SecretValue(base64.b64decode(text)) for key, text in data_of(made).items()}
    material = material_of({**data, name: SecretValue(FOREIGN if name.endswith("crt") else FOREIGN_KEY)})
    found = held(material)
    assert found.can_sign is (name in {"tls.crt", "tls.key"})
    if name in {"tls.crt", "tls.key"}:
        assert found.leaf is None
    after = carried_out(plan(found, NOTHING_PUBLISHED, set(NAMES), TIMES, NOW).action, material, NAMES, TIMES, NOW)
    assert held(after).can_sign
    assert plan(held(after), NOTHING_PUBLISHED, set(NAMES), TIMES, NOW).action is Action.WAIT or name == "ca.key"


def test_t24_an_issuer_of_an_unknown_curve() -> None:
    made = started()
    found = held(replace(made, bundle=FOREIGN + made.bundle))
    assert found.authorities == ()
    assert trusted(FOREIGN) == b""
    assert fingerprints(FOREIGN) == frozenset()


def test_t24_a_certificate_of_the_last_day_there_is() -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    authority = make_authority(last, timedelta(minutes=30))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), last, last)
    late = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert held(Material(late)).authorities == ()
    assert held(replace(started(), leaf=late)).leaf is None
    assert plan(held(Material(authority.chain, authority.key)), NOTHING_PUBLISHED, set(NAMES), TIMES, NOW).why


@pytest.mark.parametrize("name", ["2001:db8:0:0:0:0:0:1", "2001:DB8::1", "::ffff:192.0.2.1", "192.0.2.1", "a.example"])
def test_an_address_that_is_written_in_another_way_is_no_name_that_lacks(name: str) -> None:
    made = carried_out(Action.START_ANEW, Material(), {name}, TIMES, NOW)
    issued = carried_out(Action.ISSUE, made, names_of_next(held(made), {name}, NOW), TIMES, NOW)
    for material in (made, issued):
        assert plan(held(material), NOTHING_PUBLISHED, {name}, TIMES, NOW).action is Action.WAIT


def test_a_replica_whose_clock_is_ahead_makes_what_others_take() -> None:
    """By so much less than a day; what was made by one that is further ahead is made anew."""
    for ahead, action in ((timedelta(hours=23), Action.WAIT), (timedelta(hours=25), Action.START_ANEW)):
        made = carried_out(Action.START_ANEW, Material(), NAMES, TIMES, NOW + ahead)
        leaf = x509.load_pem_x509_certificate(made.leaf)
        assert (leaf.not_valid_before_utc <= NOW) is (action is Action.WAIT)
        assert plan(held(made), NOTHING_PUBLISHED, set(NAMES), TIMES, NOW).action is action


def test_t24_a_key_in_the_bundle_is_no_authority_and_is_not_published() -> None:
    made = started()
    assert made.authority_key is not None
    mixed = replace(made, bundle=made.authority_key.reveal() + made.bundle)
    assert held(mixed) == held(made)
    assert trusted(mixed.bundle) == made.bundle


def test_keys_that_fit_something_else() -> None:
    one, other = started(), started()
    assert held(replace(one, leaf_key=other.leaf_key)).leaf is None
    assert not held(replace(one, authority_key=other.authority_key)).can_sign
    foreign = held(replace(one, leaf=other.leaf, leaf_key=other.leaf_key)).leaf
    assert foreign is not None
    assert foreign.issuer == ""


def test_t14_no_key_in_a_repr() -> None:
    made = started()
    assert made.leaf_key is not None
    assert made.leaf_key.reveal().decode()[30:60] not in repr(made)
    assert "PRIVATE" not in repr(made)


def test_what_is_no_certificate() -> None:
    assert fingerprints(b"junk") == frozenset()
