"""The webhook's own certificates: an authority and what it issues, made and read with `cryptography`.

EC P-256 with SHA-256 throughout: every API server takes it, and a key is made in microseconds.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.objects.secret import KeyPair, SecretValue
from controller.admission.renewal import BACKDATE, Action, Authority, Held, Leaf, Times

CA_BUNDLE, CA_KEY, CERTIFICATE, KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
"""Keys of the Secret. `ca.key` belongs to the first certificate of `ca.crt`, which is the newest."""
_UNREADABLE = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm)
"""What `cryptography` says of certificates and keys of others: broken, of unknown kinds, or of impossible dates."""


@dataclass(frozen=True, slots=True)
class Material:
    """What the Secret holds, or is to hold. Parts may be missing, or be anything."""

    bundle: bytes = b""
    authority_key: SecretValue | None = None
    leaf: bytes = b""
    leaf_key: SecretValue | None = None

    @property
    def serving(self) -> KeyPair | None:
        """What the webhook serves with; None where a part is missing."""
        return KeyPair(self.leaf, self.leaf_key) if self.leaf and self.leaf_key else None


def material_of(data: Mapping[str, SecretValue]) -> Material:
    """The Secret's `data`. Certificates are nobody's secret."""
    bundle, leaf = (data[name].reveal() if name in data else b"" for name in (CA_BUNDLE, CERTIFICATE))
    return Material(bundle, data.get(CA_KEY), leaf, data.get(KEY))


def data_of(material: Material) -> dict[str, str]:
    """The Secret's `data` as it is written. The last step before it is sent, so that nothing else holds a bare key."""
    values = {CA_BUNDLE: material.bundle, CERTIFICATE: material.leaf}
    keys = {CA_KEY: material.authority_key, KEY: material.leaf_key}
    values |= {name: value.reveal() for name, value in keys.items() if value is not None}
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


def make_authority(now: datetime, life: timedelta) -> KeyPair:
    """A new authority. Its name is its own, so that nobody takes it for the one before."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"connectors-webhook-ca-{secrets.token_hex(4)}")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = _builder(name, name, key, now, now + life)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
    return KeyPair(_pem(builder.sign(key, hashes.SHA256())), _key_pem(key))


def issue(authority: KeyPair, names: Iterable[str], now: datetime, life: timedelta) -> KeyPair:
    """A certificate of the first of these authorities, for DNS names and IP addresses; it does not outlive its issuer.

    Raises:
        ValueError: the authority's certificate or key cannot be read; plan() has looked before.
    """
    issuer, signer = x509.load_pem_x509_certificate(authority.chain), _private(authority.key)
    if signer is None:
        raise ValueError("the authority's key is none")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "connectors-webhook")])
    builder = _builder(subject, issuer.subject, key, now, min(now + life, issuer.not_valid_after_utc))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return KeyPair(_pem(builder.add_extension(identifier, False).sign(signer, hashes.SHA256())), _key_pem(key))


def held(material: Material) -> Held:
    """What renewal.py has to know. What cannot be read is as good as missing."""
    authorities = _certificates(material.bundle)
    signer = _private(material.authority_key)
    can_sign = bool(authorities) and signer is not None and _fits(authorities[0], signer)
    return Held(tuple(_authority(item) for item in authorities), can_sign, _leaf(material, authorities))


def trusted(bundle: bytes) -> bytes:
    """What may be published of ca.crt: its certificates, and nothing that somebody put beside them (threat 24)."""
    return b"".join(_pem(item) for item in _certificates(bundle))


def fingerprints(bundle: bytes) -> frozenset[str]:
    """The certificates of a caBundle."""
    return frozenset(_fingerprint(item) for item in _certificates(bundle))


def carried_out(action: Action, material: Material, names: Iterable[str], times: Times, now: datetime) -> Material:
    """The Secret's content after that action."""
    authorities = _certificates(material.bundle)
    match action:
        case Action.START_ANEW | Action.ADD_AUTHORITY:
            made = make_authority(now, times.authority_life)
            alive = b"".join(_pem(item) for item in authorities if item.not_valid_after_utc > now)
            found = replace(material, bundle=made.chain + alive, authority_key=made.key)
            return _issued_anew(found, names, times, now) if action is Action.START_ANEW else found
        case Action.ISSUE:
            return _issued_anew(material, names, times, now)
        case Action.DROP_OLD:
            return replace(material, bundle=_pem(authorities[0]))
        case Action.WAIT:
            return material


def _issued_anew(material: Material, names: Iterable[str], times: Times, now: datetime) -> Material:
    authority = KeyPair(material.bundle, material.authority_key or SecretValue(b""))
    leaf = issue(authority, names, now, times.leaf_life)
    return replace(material, leaf=leaf.chain, leaf_key=leaf.key)


def _leaf(material: Material, authorities: list[x509.Certificate]) -> Leaf | None:
    chain, key = _certificates(material.leaf), _private(material.leaf_key)
    if not chain or key is None or not _fits(chain[0], key):
        return None
    issuer = next((_fingerprint(item) for item in authorities if _issued(chain[0], item)), "")
    begins = chain[0].not_valid_before_utc + BACKDATE
    return Leaf(issuer, _names(chain[0]), begins, chain[0].not_valid_after_utc)


def _authority(certificate: x509.Certificate) -> Authority:
    begins = certificate.not_valid_before_utc + BACKDATE
    return Authority(_fingerprint(certificate), begins, certificate.not_valid_after_utc)


def _certificates(pem: bytes) -> list[x509.Certificate]:
    """Those of PEM blocks; nothing where one of them cannot be read: what is half broken is made anew."""
    try:
        found = x509.load_pem_x509_certificates(pem) if pem.strip() else []
        for certificate in found:
            certificate.public_key()
            _authority(certificate)
    except _UNREADABLE:
        return []
    return found


def _private(key: SecretValue | None) -> ec.EllipticCurvePrivateKey | None:
    if key is None:
        return None
    try:
        loaded = serialization.load_pem_private_key(key.reveal(), password=None)
    except _UNREADABLE:
        return None
    return loaded if isinstance(loaded, ec.EllipticCurvePrivateKey) else None


def _fits(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (*_UNREADABLE, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*_UNREADABLE, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset(found.get_values_for_type(x509.DNSName)) | frozenset(str(item) for item in addresses)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=public)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - BACKDATE).not_valid_after(ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> SecretValue:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return SecretValue(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
