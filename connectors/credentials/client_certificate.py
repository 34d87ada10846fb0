"""Secret type kubernetes.io/tls: the certificate that the proxy shows to the tool (RFC 8446 section 4.4.2)."""

from __future__ import annotations

from connectors.credentials.credential import Credential, CredentialError, Owned
from connectors.credentials.scheme import require
from connectors.expressions.subject import Subject
from connectors.model.connector_class import AuthType
from connectors.model.key_pair import KeyPair
from connectors.model.reasons import ConditionReason
from connectors.model.secret import Secret
from connectors.tls.certificates import read_pem

CERTIFICATE, KEY = "tls.crt", "tls.key"
"""Its keys (core/v1, TLSCertKey and TLSPrivateKeyKey)."""


class ClientCertificate:
    """Nothing is injected into a request: who holds the key is known from the handshake on."""

    def owned(self, auth_type: AuthType) -> Owned:
        """See Scheme."""
        return Owned()

    def credential(self, auth_type: AuthType, secret: Secret, subject: Subject | None = None) -> Credential:
        """See Scheme."""
        pair = KeyPair(require(secret, CERTIFICATE).reveal(), require(secret, KEY))
        if problem := _problem(pair):
            message = f"Secret {secret.metadata.name}: {problem}"
            raise CredentialError(ConditionReason.SECRET_KEY_INVALID, message)
        return Credential(certificate=pair)


def _problem(pair: KeyPair) -> str:
    """Why it could not be shown to anybody; quotes nothing of it."""
    # 12 MB, and a tenth of a second: only where somebody has such a Secret.
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    chain = read_pem(pair.chain)
    if not chain.certificates:
        return f"{CERTIFICATE} holds no certificate in PEM; put the client's certificate there, then its issuers'"
    try:
        # Not the slow proof that the primes are primes: who holds a bad key of his own harms nobody else.
        key = load_pem_private_key(pair.key.reveal(), None, unsafe_skip_rsa_key_validation=True).public_key()
        leaf = x509.load_der_x509_certificate(chain.certificates[0].der).public_key()
        fits = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == leaf.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return f"{KEY} holds no private key in PEM that could be read; put it there without a password"
    return "" if fits else f"{KEY} does not belong to the first certificate of {CERTIFICATE}; put the two together"
