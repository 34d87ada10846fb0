from __future__ import annotations

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, rsa

from connectors.credentials.client_certificate import ClientCertificate
from connectors.credentials.credential import CredentialError, Owned
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import TLS, Secret
from tests.builders import auth_type, secret_of

CA = trustme.CA()
LEAF, OTHER = CA.issue_cert("client.example"), CA.issue_cert("other.example")
CHAIN = b"".join(blob.bytes() for blob in LEAF.cert_chain_pems)
KEY = LEAF.private_key_pem.bytes()
ENCRYPTED = serialization.load_pem_private_key(KEY, None).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"canary")
)


NO_END = b"-----BEGIN CERTIFICATE-----\nAAAA\n"
JUNK = NO_END + b"-----END CERTIFICATE-----\n"
PKCS8 = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
DSA = dsa.generate_private_key(1024).private_bytes(*PKCS8)  # noqa: S505 - it is refused
SMALL = rsa.generate_private_key(65537, 1024).private_bytes(*PKCS8)  # noqa: S505 - it is refused


def of(chain: bytes = CHAIN, key: bytes = KEY) -> Secret:
    return secret_of({"tls.crt": chain, "tls.key": key}, TLS)


def test_chain_and_key_are_shown_and_nothing_is_injected() -> None:
    made = ClientCertificate().credential(auth_type(), of())
    assert (made.headers, made.query) == ((), ())
    assert made.certificate is not None
    assert (made.certificate.chain, made.certificate.key.reveal()) == (CHAIN, KEY.strip())
    assert ClientCertificate().owned(auth_type()) == Owned()


@pytest.mark.parametrize("rsa", [trustme.KeyType.RSA, trustme.KeyType.ECDSA])
def test_kinds_of_keys(rsa: trustme.KeyType) -> None:
    leaf = CA.issue_cert("client.example", key_type=rsa)
    chain = leaf.cert_chain_pems[0].bytes()
    assert ClientCertificate().credential(auth_type(), of(chain, leaf.private_key_pem.bytes())).certificate


def test_t14_a_key_that_stands_beside_the_certificate_is_not_shown() -> None:
    made = ClientCertificate().credential(auth_type(), of(chain=KEY + CHAIN + KEY)).certificate
    assert made is not None
    assert made.chain == CHAIN
    assert "CERTIFICATE" not in repr(made)


@pytest.mark.parametrize("lacking", ["tls.crt", "tls.key"])
def test_a_missing_key_is_named(lacking: str) -> None:
    data = {"tls.crt": CHAIN, "tls.key": KEY}
    del data[lacking]
    with pytest.raises(CredentialError, match=lacking) as caught:
        ClientCertificate().credential(auth_type(), secret_of(data, TLS))
    assert caught.value.reason is ConditionReason.SECRET_KEY_MISSING


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        pytest.param(of(chain=b""), "tls.crt holds no certificate", id="no certificate"),
        pytest.param(of(chain=KEY), "tls.crt holds no certificate", id="the key twice"),
        pytest.param(of(key=b"junk"), "tls.key holds no private key", id="no key"),
        pytest.param(of(key=CHAIN), "tls.key holds no private key", id="the certificate twice"),
        pytest.param(of(key=ENCRYPTED), "without a password", id="a key with a password"),
        pytest.param(of(chain=CHAIN + NO_END), "certificate 2 has no end line", id="a broken block behind"),
        pytest.param(of(chain=JUNK + CHAIN), "tls.crt: certificate 1 is not X.509", id="a broken block before"),
        pytest.param(of(key=DSA), "of a kind that is used", id="a key that TLS does not sign with"),
        pytest.param(of(key=SMALL), "1024 bits", id="a key that OpenSSL would not take"),
        pytest.param(of(key=OTHER.private_key_pem.bytes()), "does not belong to the first", id="another's key"),
    ],
)
def test_t14_what_cannot_be_shown_is_not_quoted(broken: Secret, says: str) -> None:
    with pytest.raises(CredentialError, match=says) as caught:
        ClientCertificate().credential(auth_type(), broken)
    assert caught.value.reason is ConditionReason.SECRET_KEY_INVALID
    assert caught.value.__cause__ is None
    assert "PRIVATE" not in caught.value.message
