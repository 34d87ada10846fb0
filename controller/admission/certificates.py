"""The webhook's own certificate: made, read and judged with `cryptography`.

It is self-signed, so it is the authority that API servers trust as well: there is no key that could sign another one.
EC P-256 with SHA-256: every API server takes it, and a key is made in microseconds.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.certificates import signing_key

# Keys of the Secret.
TRUSTED, CERTIFICATE, KEY = "ca.crt", "tls.crt", "tls.key"
# The key of the authority of earlier versions. It is dropped with the next write: it signs nothing any more.
FORMER_KEY = "ca.key"
# A certificate is valid so long before it is made, for API servers whose clock is behind that of the replica that made
# it: taking local time for UTC makes hours. Lives count from when it was made.
BACKDATE = timedelta(days=1)
# Authorities that stay trusted beside a new one. Usually there is one; but a caBundle may hold a megabyte of anything,
# which would not fit into the Secret.
MAX_BEFORE = 4
# What `cryptography` says of certificates and keys of others: broken, of unknown kinds, or of impossible dates.
_UNREADABLE = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm)


class UnfitError(Exception):
    """The Secret holds no certificate that could be served; the message says why and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long things live, and what is waited for.

    `life`: of a certificate, ten years like kubeadm's own authorities. Its key lies beside it in one Secret: who reads
    that reads the next key too, so an earlier exchange would protect nothing. `left`: it is exchanged when so much of
    that is left. `heard`: how long a certificate is published before it is served, so that each API server has
    heard of it: their watches take a second. `kept`: how long the one before stays trusted, for replicas that hear of
    the new one late. `look`: the time between two looks at the most, since a watch may be dead without a word.
    """

    life: timedelta = timedelta(days=3650)
    left: timedelta = timedelta(days=30)
    heard: timedelta = timedelta(minutes=1)
    kept: timedelta = timedelta(hours=1)
    look: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Material:
    """What the Secret holds, or is to hold. Parts may be missing, or be anything."""

    bundle: bytes = b""
    leaf: bytes = b""
    leaf_key: SecretValue | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A certificate that can be served. `issuer`: the fingerprint of the authority that issued it, which may be itself.

    Earlier versions had an authority of its own. `begins` is when it was made. `authorities`: those of ca.crt that are
    valid, in PEM by fingerprint, the newest first.
    """

    pair: KeyPair
    issuer: str
    names: Set[str]
    begins: datetime
    ends: datetime
    authorities: Mapping[str, bytes] = field(repr=False)

    @property
    def trusted(self) -> bytes:
        """What is to be published: certificates alone, whatever somebody put beside them (threat 24)."""
        return b"".join(self.authorities.values())

    @property
    def alone(self) -> Material:
        """The same without the authorities before its own, which stand behind it."""
        known = list(self.authorities)
        ahead = known[: known.index(self.issuer) + 1]
        return Material(b"".join(self.authorities[item] for item in ahead), self.pair.chain, self.pair.key)


def material_of(data: Mapping[str, SecretValue]) -> Material:
    """The Secret's `data`. Certificates are not secret."""
    bundle, leaf = (data[name].reveal() if name in data else b"" for name in (TRUSTED, CERTIFICATE))
    return Material(bundle, leaf, data.get(KEY))


def data_of(material: Material) -> dict[str, str]:
    """The Secret's `data` as it is written. The last step before it is sent, so that nothing else holds a bare key."""
    values = {TRUSTED: material.bundle, CERTIFICATE: material.leaf}
    if material.leaf_key is not None:
        values[KEY] = material.leaf_key.reveal()
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


def make(names: Iterable[str], before: Iterable[bytes], life: timedelta, now: datetime) -> Material:
    """A new certificate for DNS names and IP addresses. `before`: authorities that stay trusted beside it, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: of two certificates with one name, a client may take the wrong one for the issuer.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"connectors-webhook-{secrets.token_hex(4)}")])
    public = key.public_key()
    builder = x509.CertificateBuilder(name, name, public, x509.random_serial_number(), now - BACKDATE, now + life)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.SubjectAlternativeName([_general(item) for item in sorted(names)]), False),
        (x509.SubjectKeyIdentifier.from_public_key(public), False),
        # RFC 5280 section 4.2.1.1 wants it of all that are not authorities; strict clients insist.
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ):
        builder = builder.add_extension(extension, critical)
    leaf = _pem(builder.sign(key, hashes.SHA256()))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    leaf_key = SecretValue(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return Material(leaf + b"".join(list(before)[:MAX_BEFORE]), leaf, leaf_key)


def held(material: Material, now: datetime) -> Held:
    """The certificate of the Secret.

    Raises:
        UnfitError: API servers that trust the Secret's authorities would not take it now.
    """
    chain, key = _certificates(material.leaf), material.leaf_key
    if not chain or key is None or not _fits(chain[0], key):
        raise UnfitError("there is no certificate with its key")
    leaf = chain[0]
    if not _valid(leaf, now):
        raise UnfitError("the certificate ended" if leaf.not_valid_after_utc <= now else "it is not valid yet")
    alive = [item for item in _certificates(material.bundle) if _valid(item, now)]
    for candidate in alive:
        if _issued(leaf, candidate):
            known = {_fingerprint(item): _pem(item) for item in alive}
            begins, ends = leaf.not_valid_before_utc + BACKDATE, leaf.not_valid_after_utc
            return Held(KeyPair(material.leaf, key), _fingerprint(candidate), _names(leaf), begins, ends, known)
    raise UnfitError("no authority in ca.crt issued the certificate")


def due(found: Held, names: Iterable[str], lives: Lives, now: datetime) -> str:
    """Why a certificate that can be served is to be exchanged all the same; empty if it is not."""
    if found.ends - lives.left <= now:
        return "the certificate ends soon"
    return "" if canonical(names) <= found.names else "the certificate lacks a name"


def settled(found: Held, lives: Lives, now: datetime) -> bool:
    """Whether there are authorities before its own that are not needed any more."""
    return found.begins + lives.kept <= now and found.alone.bundle != found.trusted


def authorities(bundle: bytes, now: datetime) -> dict[str, bytes]:
    """The certificates of ca.crt or of a caBundle that are valid now: in PEM, by fingerprint."""
    return {_fingerprint(item): _pem(item) for item in _certificates(bundle) if _valid(item, now)}


def canonical(names: Iterable[str]) -> frozenset[str]:
    """IP addresses as a certificate writes them: in another spelling, an address would always count as missing."""
    return frozenset(_canonical(name) for name in names)


def _canonical(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def _valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def _certificates(pem: bytes) -> list[x509.Certificate]:
    """The certificates of PEM blocks; none if one cannot be read: then a new pair is made."""
    try:
        found = x509.load_pem_x509_certificates(pem) if pem.strip() else []
        for certificate in found:
            certificate.public_key()
            _ = certificate.not_valid_before_utc + BACKDATE
    except _UNREADABLE:
        return []
    return found


def _fits(certificate: x509.Certificate, key: SecretValue) -> bool:
    # Some kinds of keys take OpenSSL half a minute to look at.
    block = signing_key(key.reveal())
    try:
        loaded = serialization.load_pem_private_key(block, password=None) if block else None
    except _UNREADABLE:
        return False
    return isinstance(loaded, ec.EllipticCurvePrivateKey) and certificate.public_key() == loaded.public_key()


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


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
