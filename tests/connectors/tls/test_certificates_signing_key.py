from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x448, x25519
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from connectors.tls.certificates import MAX_KEY, signing_key

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())
PKCS8, TRADITIONAL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
GROUP = dsa.generate_parameters(1024)


def pem(key: object, form: PrivateFormat = PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(pem(RSA), id="RSA"),
        pytest.param(pem(RSA, TRADITIONAL), id="RSA, traditional"),
        pytest.param(pem(EC), id="EC"),
        pytest.param(pem(EC, TRADITIONAL), id="EC, traditional"),
        pytest.param(pem(ed25519.Ed25519PrivateKey.generate()), id="Ed25519"),
        pytest.param(pem(ed448.Ed448PrivateKey.generate()), id="Ed448"),
    ],
)
def test_kinds_that_sign(block: bytes) -> None:
    assert signing_key(block) == block.rstrip()
    assert signing_key(b"# my key\r\n" + block.replace(b"\n", b"\r\n")) is not None


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(pem(GROUP.generate_private_key()), id="DSA"),
        pytest.param(pem(GROUP.generate_private_key(), TRADITIONAL), id="DSA, traditional"),
        pytest.param(pem(x25519.X25519PrivateKey.generate()), id="X25519"),
        pytest.param(pem(x448.X448PrivateKey.generate()), id="X448"),
        pytest.param(RSA.private_bytes(Encoding.PEM, PKCS8, BestAvailableEncryption(b"p")), id="encrypted"),
        pytest.param(RSA.private_bytes(Encoding.PEM, TRADITIONAL, BestAvailableEncryption(b"p")), id="encrypted too"),
        pytest.param(pem(RSA).replace(b"BEGIN PRIVATE", b"BEGIN RSA PRIVATE"), id="two labels"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", id="junk"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n", id="no base64"),
        pytest.param(
            b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * MAX_KEY + b"\n-----END RSA PRIVATE KEY-----", id="too long"
        ),
    ],
)
def test_everything_else_is_not_looked_at(block: bytes) -> None:
    assert signing_key(block) is None


def test_the_name_of_a_kind_counts_in_its_place_alone() -> None:
    """A DSA key whose numbers hold the bytes that name RSA is one of DSA."""
    text = pem(GROUP.generate_private_key()).splitlines()
    der = base64.b64decode(b"".join(text[1:-1]))
    name = bytes.fromhex("06092a864886f70d010101")
    for place in range(8, 40):
        changed = der[:place] + name + der[place + len(name) :]
        block = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(changed) + b"\n-----END PRIVATE KEY-----\n"
        assert (signing_key(block) is None) or place in _places(der)


def _places(der: bytes) -> set[int]:
    """Where the algorithm's own name begins."""
    return {der.index(bytes.fromhex("06072a8648ce38"))}


@given(st.binary(max_size=300))
def test_any_bytes_are_taken(raw: bytes) -> None:
    block = b"-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(raw) + b"\n-----END PRIVATE KEY-----\n"
    assert signing_key(raw) is None
    assert signing_key(block) in {None, block.rstrip()}
