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
    BACKDATE,
    MAX_BEFORE,
    Held,
    Lives,
    Material,
    UnfitError,
    authorities,
    canonical,
    data_of,
    due,
    held,
    make,
    material_of,
    settled,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("connectors-webhook-service.connectors-system.svc", "localhost", "127.0.0.1")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LIVES = Lives(life=90 * DAY, left=30 * DAY, kept=HOUR)


def started(*before: bytes, now: datetime = NOW) -> Material:
    return make(NAMES, before, LIVES.life, now)


def unfit(material: Material, now: datetime = NOW) -> str:
    """Why it cannot be served; empty where it can."""
    try:
        held(material, now)
    except UnfitError as error:
        return str(error)
    return ""


def values(material: Material) -> dict[str, SecretValue]:
    return {name: SecretValue(base64.b64decode(text)) for name, text in data_of(material).items()}


def test_what_is_made_can_be_read() -> None:
    found = held(started(), NOW)
    assert list(found.authorities) == [found.issuer]
    assert found.names == frozenset(NAMES)
    assert (found.begins, found.ends) == (NOW, NOW + LIVES.life)


def test_it_lives_for_ten_years() -> None:
    found = held(make(NAMES, (), Lives().life, NOW), NOW)
    assert due(found, NAMES, Lives(), NOW + 3619 * DAY) == ""
    assert due(found, NAMES, Lives(), NOW + 3620 * DAY) == "the certificate ends soon"


def test_it_is_what_tls_wants() -> None:
    made = started()
    assert made.bundle == made.leaf
    leaf = x509.load_pem_x509_certificate(made.leaf)
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert leaf.not_valid_before_utc == NOW - BACKDATE
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False), "who has its key can sign no other"
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [item.dotted_string for item in usage] == ["1.3.6.1.5.5.7.3.1"]


@pytest.mark.parametrize("before", [(), (started(now=datetime.now(UTC)).bundle,)], ids=["alone", "beside another"])
def test_a_strict_client_takes_it(before: tuple[bytes, ...], tmp_path: Path) -> None:
    now = datetime.now(UTC)
    made = started(*before, now=now)
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


def test_two_certificates_have_two_names() -> None:
    pems = [started().leaf for _ in range(2)]
    assert len({x509.load_pem_x509_certificate(pem).subject.rfc4514_string() for pem in pems}) == 2


def test_authorities_before_stand_behind_until_they_are_not_needed_any_more() -> None:
    one, other = started(), started()
    made = started(one.leaf, other.leaf)
    assert made.bundle == made.leaf + one.leaf + other.leaf
    found = held(made, NOW)
    assert found.trusted == made.bundle
    assert not settled(found, LIVES, NOW + HOUR - timedelta(seconds=1))
    assert settled(found, LIVES, NOW + HOUR)
    assert data_of(found.alone) == data_of(replace(made, bundle=made.leaf))
    assert not settled(held(found.alone, NOW), LIVES, NOW + HOUR)


def test_so_many_authorities_before_and_no_more() -> None:
    assert len(authorities(started(*(started().leaf for _ in range(10))).bundle, NOW)) == MAX_BEFORE + 1


def test_it_comes_back_from_the_secret() -> None:
    before = started()
    assert values(before).keys() == {"ca.crt", "tls.crt", "tls.key"}
    after = material_of(values(before))
    assert (after.bundle, after.leaf) == (before.bundle, before.leaf)
    assert _facts(held(after, NOW)) == _facts(held(before, NOW))


def _facts(found: Held) -> tuple[object, ...]:
    """Without the key, of which two are never equal."""
    return (found.issuer, found.names, found.begins, found.ends, found.authorities)


def test_an_empty_secret() -> None:
    assert material_of({}) == Material()
    assert unfit(Material()) == "there is no certificate with its key"


@pytest.mark.parametrize(
    ("now", "problem"),
    [
        (NOW - BACKDATE - HOUR, "it is not valid yet"),
        (NOW - BACKDATE, ""),
        (NOW + 89 * DAY, ""),
        (NOW + 90 * DAY, "the certificate ended"),
    ],
)
def test_it_is_served_while_it_is_valid(now: datetime, problem: str) -> None:
    assert unfit(started(), now) == problem


@pytest.mark.parametrize(
    ("names", "after", "why"),
    [
        (set(NAMES), 0 * DAY, ""),
        ({"localhost"}, 0 * DAY, ""),
        ({"localhost", "other"}, 0 * DAY, "the certificate lacks a name"),
        (set(NAMES), 60 * DAY - HOUR, ""),
        (set(NAMES), 60 * DAY, "the certificate ends soon"),
    ],
)
def test_when_it_is_exchanged(names: set[str], after: timedelta, why: str) -> None:
    assert due(held(started(), NOW), names, LIVES, NOW + after) == why


def test_an_authority_that_ended_is_none() -> None:
    older = make(NAMES, (), DAY, NOW).leaf
    made = started(older)
    assert len(held(made, NOW).authorities) == 2
    assert len(held(made, NOW + DAY).authorities) == 1
    assert unfit(replace(started(), bundle=older)) == "no authority in ca.crt issued the certificate"


def test_addresses_of_any_form_are_the_same_names() -> None:
    assert canonical({"2001:DB8:0::1", "2001:db8::1", "192.0.2.1", "a.b"}) == {"2001:db8::1", "192.0.2.1", "a.b"}


RSA = b"""-----BEGIN PRIVATE KEY-----
MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEA
-----END PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    "junk", [b"", b"junk", b"\xff\x00", RSA, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_t24_what_cannot_be_read_is_as_good_as_missing(name: str, junk: bytes) -> None:
    assert unfit(material_of({**values(started()), name: SecretValue(junk)}))


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


@pytest.mark.parametrize("name", ["ca.crt", "tls.crt", "tls.key"])
def test_t24_a_curve_that_nobody_knows_is_as_good_as_missing(name: str) -> None:
    foreign = SecretValue(FOREIGN if name.endswith("crt") else FOREIGN_KEY)
    assert unfit(material_of({**values(started()), name: foreign}))


def test_t24_an_issuer_of_an_unknown_curve() -> None:
    made = started()
    assert unfit(replace(made, bundle=FOREIGN + made.bundle))
    assert authorities(FOREIGN, NOW) == {}


def test_t24_a_certificate_of_the_last_day_there_is() -> None:
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), last, last)
    late = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert authorities(late, NOW) == {}
    assert unfit(replace(started(), leaf=late))
    assert unfit(replace(started(), bundle=late))


@pytest.mark.parametrize("name", ["2001:db8:0:0:0:0:0:1", "2001:DB8::1", "::ffff:192.0.2.1", "192.0.2.1", "a.example"])
def test_an_address_that_is_written_in_another_way_is_no_name_that_lacks(name: str) -> None:
    for names in ({name}, canonical({name})):
        assert due(held(make(names, (), LIVES.life, NOW), NOW), {name}, LIVES, NOW) == ""


def test_a_replica_whose_clock_is_ahead_makes_what_others_take() -> None:
    """By so much less than a day; what was made by one that is further ahead is made anew."""
    assert unfit(started(now=NOW + 23 * HOUR)) == ""
    assert unfit(started(now=NOW + 25 * HOUR)) == "it is not valid yet"


def test_t24_a_key_in_the_bundle_is_no_authority_and_is_not_published() -> None:
    made = started()
    assert made.leaf_key is not None
    mixed = held(replace(made, bundle=made.leaf_key.reveal() + made.bundle), NOW)
    assert _facts(mixed) == _facts(held(made, NOW))
    assert mixed.trusted == made.bundle


def test_keys_that_fit_something_else() -> None:
    one, other = started(), started()
    assert unfit(replace(one, leaf_key=other.leaf_key)) == "there is no certificate with its key"
    foreign = replace(one, leaf=other.leaf, leaf_key=other.leaf_key)
    assert unfit(foreign) == "no authority in ca.crt issued the certificate"


def test_t14_no_key_in_a_repr() -> None:
    made = started()
    assert made.leaf_key is not None
    for shown in (repr(made), repr(held(made, NOW))):
        assert made.leaf_key.reveal().decode()[30:60] not in shown
        assert "PRIVATE" not in shown


def test_what_is_no_certificate() -> None:
    assert authorities(b"junk", NOW) == {}
