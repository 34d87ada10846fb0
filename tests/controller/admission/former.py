"""What versions before this one left in the Secret: an authority, its key, and a certificate that it issued."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.admission.certificates import BACKDATE

Key = ec.EllipticCurvePrivateKey


class Former:
    """An authority that was made at `now`."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("connectors-webhook-ca")
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        builder = self._builder(self._name, self._key, timedelta(days=3650)).add_extension(constraints, critical=True)
        self.authority = _pem(builder, self._key)

    def secret(self, names: tuple[str, ...], life: timedelta, *newer: bytes) -> dict[str, str]:
        """The Secret's data, with authorities that were added in front."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name("connectors-webhook"), key, life)
        for extension in (
            x509.BasicConstraints(ca=False, path_length=None),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        ):
            builder = builder.add_extension(extension, critical=False)
        values = {
            "ca.crt": b"".join(newer) + self.authority,
            "ca.key": _key_pem(self._key),
            "tls.crt": _pem(builder, self._key),
            "tls.key": _key_pem(key),
        }
        return {name: base64.b64encode(value).decode() for name, value in values.items()}

    def _builder(self, subject: x509.Name, key: Key, life: timedelta) -> x509.CertificateBuilder:
        begins, ends = self._now - BACKDATE, self._now + life
        serial = x509.random_serial_number()
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), serial, begins, ends)
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(builder: x509.CertificateBuilder, signer: Key) -> bytes:
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key) -> bytes:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption())
