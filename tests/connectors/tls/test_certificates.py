from __future__ import annotations

import base64
import datetime
import ssl
from dataclasses import replace

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from connectors.objects.secret import SecretValue
from connectors.tls import certificates
from connectors.tls.certificates import MAX_LOOKED_AT, MAX_PROBLEMS, TOO_MANY, Bundle, as_pem, read_bundle, read_pem

ONE, OTHER = trustme.CA(), trustme.CA()
PEM = ONE.cert_pem.bytes()
KEY = ONE.private_key_pem.bytes()
BODY = PEM.replace(b"-----BEGIN CERTIFICATE-----", b"").replace(b"-----END CERTIFICATE-----", b"")
NO_END = b"-----BEGIN CERTIFICATE-----" + BODY
NOT_BASE64 = b"-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n"
NOT_X509 = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"canary-3f10") + b"\n-----END CERTIFICATE-----\n"


def found(**data: bytes) -> Bundle:
    """The bundle of a Secret; of the keys, `_` is a dot."""
    return read_bundle({key.replace("_", "."): SecretValue(value) for key, value in data.items()})


def der(authority: trustme.CA) -> bytes:
    text = authority.cert_pem.bytes().decode()
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))


@pytest.mark.parametrize(
    ("data", "authorities", "problems"),
    [
        pytest.param({"ca_crt": PEM}, [ONE], [], id="a key that ends in .crt"),
        pytest.param({"ca_pem": PEM}, [ONE], [], id="a key that ends in .pem"),
        pytest.param({"CA_CRT": PEM}, [ONE], [], id="in capitals"),
        pytest.param({"anything": PEM}, [ONE], [], id="any key with a PEM header in its value"),
        pytest.param({"anything": b"see below\n\n" + PEM}, [ONE], [], id="text before the block"),
        pytest.param({"ca_crt": PEM.replace(b"\n", b"\r\n")}, [ONE], [], id="lines of Windows"),
        pytest.param({"ca_crt": PEM.rstrip()}, [ONE], [], id="no newline at the end"),
        pytest.param({"ca_crt": PEM, "same_pem": PEM}, [ONE], [], id="twice is once"),
        pytest.param({"ca_crt": PEM + OTHER.cert_pem.bytes()}, [ONE, OTHER], [], id="a bundle"),
        pytest.param({"a_crt": PEM, "b_crt": OTHER.cert_pem.bytes()}, [ONE, OTHER], [], id="two keys"),
        pytest.param({"token": b"glpat-123", "ca_crt": PEM}, [ONE], [], id="a token beside it is ignored"),
        pytest.param({}, [], [], id="an empty Secret"),
        pytest.param({"token": b"glpat-123"}, [], [], id="a token alone"),
        pytest.param({"ca_crt": b""}, [], ["ca.crt: holds no CERTIFICATE block"], id="an empty value"),
        pytest.param({"ca_crt": der(ONE)}, [], ["ca.crt: holds no CERTIFICATE block"], id="DER"),
        pytest.param({"ca_crt": NO_END}, [], ["ca.crt: certificate 1 has no end line"], id="no end line"),
        pytest.param(
            {"ca_crt": NO_END + PEM}, [ONE], ["ca.crt: certificate 1 has no end line"], id="no end line before another"
        ),
        pytest.param({"ca_crt": NOT_BASE64}, [], ["ca.crt: certificate 1 is not base64"], id="not base64"),
        pytest.param({"ca_crt": NOT_X509}, [], ["ca.crt: certificate 1 is not X.509"], id="not X.509"),
        pytest.param(
            {"ca_crt": PEM + NOT_X509 + OTHER.cert_pem.bytes()},
            [ONE, OTHER],
            ["ca.crt: certificate 2 is not X.509"],
            id="one bad block does not lose the good ones",
        ),
        pytest.param(
            {
                "ca_crt": b"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\n"
                + BODY
                + b"-----END CERTIFICATE-----"
            },
            [],
            ["ca.crt: certificate 1 is not base64"],
            id="headers in a block",
        ),
    ],
)
def test_what_is_loaded(data: dict[str, bytes], authorities: list[trustme.CA], problems: list[str]) -> None:
    bundle = found(**data)
    assert [certificate.der for certificate in bundle.certificates] == [der(authority) for authority in authorities]
    assert list(bundle.problems) == problems
    assert bundle.invalid == len(problems)


@pytest.mark.parametrize(
    ("data", "count", "problems"),
    [
        pytest.param({"tls_key": KEY}, 0, [], id="a key by its header"),
        pytest.param({"ca_crt": KEY}, 0, ["ca.crt: holds no CERTIFICATE block"], id="a key in the place of the CA"),
        pytest.param({"tls_crt": PEM, "tls_key": KEY}, 1, [], id="a kubernetes.io/tls Secret"),
        pytest.param({"all_pem": KEY + PEM + KEY}, 1, [], id="key and certificate in one value"),
    ],
)
def test_t24_a_private_key_is_never_loaded(data: dict[str, bytes], count: int, problems: list[str]) -> None:
    bundle = found(**data)
    assert [certificate.der for certificate in bundle.certificates] == [der(ONE)] * count
    assert list(bundle.problems) == problems
    assert b"PRIVATE" not in repr(bundle).encode()


def test_when_the_first_one_ends() -> None:
    soon = datetime.datetime(2031, 5, 1, tzinfo=datetime.UTC)
    leaf = ONE.issue_cert("tool.example", not_after=soon)
    bundle = found(a_crt=PEM, b_crt=leaf.cert_chain_pems[0].bytes())
    assert len(bundle.certificates) == 2
    assert bundle.first_end == soon.timestamp()
    assert Bundle().first_end is None


def test_a_wrong_file_does_not_fill_a_status() -> None:
    bundle = found(ca_crt=NOT_X509 * 20)
    assert len(bundle.problems) == MAX_PROBLEMS + 1
    assert bundle.problems[-1] == "and 12 more"
    assert bundle.invalid == 20


def test_a_file_is_a_value_of_its_own() -> None:
    assert read_pem(PEM) == found(ca_crt=PEM)


@given(st.binary(max_size=400), st.lists(st.sampled_from([PEM, KEY, NO_END, NOT_X509, NOT_BASE64]), max_size=4))
def test_any_bytes_are_taken_and_none_are_quoted(junk: bytes, pieces: list[bytes]) -> None:
    bundle = found(ca_crt=junk + b"\n".join(pieces) + junk, other=b"".join(pieces))
    assert {certificate.der for certificate in bundle.certificates} <= {der(ONE)}
    for problem in bundle.problems:
        assert problem.isascii()
        assert "canary" not in problem
        assert len(problem) < 80


def test_there_are_only_so_many_certificates_of_one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "MAX_CERTIFICATES", 1)
    bundle = found(ca_crt=PEM + OTHER.cert_pem.bytes())
    assert [certificate.der for certificate in bundle.certificates] == [der(ONE)]
    assert bundle.problems == (f"ca.crt: {TOO_MANY}",)


def test_nobody_reads_a_megabyte_of_junk_to_its_end() -> None:
    bundle = found(ca_crt=NOT_X509 * 10_000)
    assert bundle.invalid == MAX_LOOKED_AT + 1


def test_a_certificate_is_written_as_it_was_read() -> None:
    (certificate,) = read_pem(PEM).certificates
    assert as_pem(certificate) == PEM
    assert "der" not in repr(certificate)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_what_counts_as_loaded_is_loaded() -> None:
    """CACertReady says what is in the pool: the library that reads it must take no more than the one that verifies."""
    (whole,) = read_pem(PEM).certificates
    taken = 0
    for position, byte in enumerate(whole.der):
        for other in (byte ^ 1, byte ^ 0x80, 0xFF):
            der = whole.der[:position] + bytes([other]) + whole.der[position + 1 :]
            for certificate in read_pem(as_pem(replace(whole, der=der))).certificates:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=certificate.der)
                taken += 1
    assert taken > len(whole.der)
