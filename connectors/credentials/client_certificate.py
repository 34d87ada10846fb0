"""Secret type kubernetes.io/tls: the certificate that the proxy shows to the tool (RFC 8446 section 4.4.2)."""

from __future__ import annotations

from connectors.credentials.credential import Credential, CredentialError, Owned
from connectors.credentials.scheme import require
from connectors.expressions.template import Subject
from connectors.objects.connector_class import AuthType
from connectors.objects.reasons import ConditionReason
from connectors.objects.secret import KeyPair, Secret, SecretValue
from connectors.tls.certificates import (
    KINDS,
    MAX_RSA,
    MIN_RSA,
    PEM_FILE,
    Bundle,
    Certificate,
    as_pem,
    read_pem,
    signing_key,
)

# Its keys (core/v1, TLSCertKey and TLSPrivateKeyKey).
CERTIFICATE, KEY = "tls.crt", "tls.key"


class ClientCertificate:
    """Injects nothing into a request: the handshake has proved who holds the key."""

    def owned(self, auth_type: AuthType) -> Owned:
        return Owned()

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        chain, key = read_pem(require(secret, CERTIFICATE).reveal()), require(secret, KEY).reveal()
        block = signing_key(key)
        if problem := _problem(chain, block):
            message = f"Secret {secret.metadata.name}: {problem}"
            raise CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
        # Written from what was read, and nothing else: a key that stands in tls.crt too must not be shown to a tool.
        shown = b"".join(as_pem(certificate) for certificate in chain.certificates)
        return Credential(certificate=KeyPair(shown, SecretValue(block or b"")))


def _problem(chain: Bundle, block: bytes | None) -> str:
    """Why no tool would accept the two; quotes nothing of them."""
    if not chain.certificates:
        return f"{CERTIFICATE} holds no certificate in PEM; put the client's certificate there, then its issuers'"
    if chain.problems:
        return f"{chain.problems[0].replace(PEM_FILE, CERTIFICATE)}; take it out, or put the whole certificate there"
    if block is None:
        return f"{KEY} holds no private key in PEM of a kind that is used; put one of {KINDS} there, without a password"
    return _mismatch(chain.certificates[0], block)


def _mismatch(leaf: Certificate, block: bytes) -> str:
    # 12 MB, and a tenth of a second: only if there is such a Secret.
    from cryptography import x509
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        # Without the slow proof that the primes are prime: a bad key harms only the Connector that has it.
        key = load_pem_private_key(block, None, unsafe_skip_rsa_key_validation=True).public_key()
        if isinstance(key, RSAPublicKey) and not MIN_RSA <= key.key_size <= MAX_RSA:
            return f"{KEY} is of RSA with {key.key_size} bits; use one of {KINDS}"
        mine, shown = (
            public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for public in (key, x509.load_der_x509_certificate(leaf.der).public_key())
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, InternalError):
        return f"{KEY} or {CERTIFICATE} cannot be read; put a private key of {KINDS} and its certificate there"
    return (
        ""
        if mine == shown
        else f"{KEY} does not belong to the first certificate of {CERTIFICATE}; put the two together"
    )
