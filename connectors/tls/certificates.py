"""Values of a Secret -> the CA certificates in them, and what is wrong with the rest. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from connectors.objects.secret import SecretValue

SUFFIXES = (".crt", ".pem")
NO_BLOCK = "holds no CERTIFICATE block"
# Problems of one Secret that are named; an author with more has put a wrong file there, and a status is not a log.
MAX_PROBLEMS = 8

# Certificates of one Secret. A whole system's store has 150; each that is loaded costs memory in each context.
MAX_CERTIFICATES = 512
# Broken blocks of one Secret; after so many, the rest is not looked at.
MAX_LOOKED_AT = 64
TOO_MANY = f"more than {MAX_CERTIFICATES} certificates, or {MAX_LOOKED_AT} broken ones; the rest is left out"
PEM_FILE = "ca.crt"

_HEADER = b"-----BEGIN "
_BEGIN, _END = b"CERTIFICATE-----", b"-----END CERTIFICATE-----"
_LINE = 64
_SPACE = b" \t\n\r\f\v"
# Certificates that are remembered parsed: the same few stand in the Secrets of a thousand Connectors.
_CACHED = 1024
# Bytes of one that is remembered; certificates have one or two thousand.
_CACHED_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Certificate:
    """One certificate that is trusted. `ends` is its notAfter, in seconds since 1970; `subject` its name, in DER."""

    der: bytes = field(repr=False)
    fingerprint: bytes
    ends: float
    subject: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one Secret holds. `problems` says what in it was left out, by key and block, and quotes nothing of it.

    `invalid` counts what was left out: not all of it may be named.
    """

    certificates: tuple[Certificate, ...] = ()
    problems: tuple[str, ...] = ()
    invalid: int = 0

    @property
    def first_end(self) -> float | None:
        """When the first of them expires; None if there is none."""
        return min((certificate.ends for certificate in self.certificates), default=None)


def read_bundle(data: Mapping[str, SecretValue]) -> Bundle:
    """The certificates of a Secret's values (docs/trust.md).

    Only keys that end in .crt or .pem count, and values with a PEM header; of those only CERTIFICATE blocks (threat
    24): a private key or a password beside them is never loaded. A block that cannot be read does not cost the others.
    """
    certificates: dict[bytes, Certificate] = {}
    problems: list[str] = []
    for key, value in data.items():
        raw = value.reveal()
        named = key.lower().endswith(SUFFIXES)
        if not named and _HEADER not in raw:
            continue
        found = False
        for item in _blocks(raw):
            found = True
            if len(certificates) == MAX_CERTIFICATES or len(problems) == MAX_LOOKED_AT:
                return _bundle(certificates, [*problems, f"{key}: {TOO_MANY}"])
            if isinstance(item, Certificate):
                certificates.setdefault(item.fingerprint, item)
            else:
                problems.append(f"{key}: {item}")
        # A Secret of type kubernetes.io/tls has a private key beside its certificates: nothing is wrong with that.
        if not found and named:
            problems.append(f"{key}: {NO_BLOCK}")
    return _bundle(certificates, problems)


def _bundle(certificates: Mapping[bytes, Certificate], problems: list[str]) -> Bundle:
    named = problems[:MAX_PROBLEMS]
    if left := len(problems) - len(named):
        named.append(f"and {left} more")
    return Bundle(tuple(certificates.values()), tuple(named), len(problems))


def read_pem(raw: bytes) -> Bundle:
    """The certificates of one PEM file; problems call it PEM_FILE."""
    return read_bundle({PEM_FILE: SecretValue(raw)})


def as_pem(certificate: Certificate) -> bytes:
    """The certificate as a PEM block (RFC 7468 section 5)."""
    text = base64.b64encode(certificate.der)
    lines = (text[start : start + _LINE] for start in range(0, len(text), _LINE))
    return b"-----BEGIN CERTIFICATE-----\n" + b"\n".join(lines) + b"\n" + _END + b"\n"


def _blocks(raw: bytes) -> Iterator[Certificate | str]:
    """Each CERTIFICATE block (RFC 7468 section 5), or what is wrong with it; blocks of other kinds are passed over."""
    # Cut with split() and not with an expression: the author of a Secret may put a megabyte of anything there.
    parts = (part.removeprefix(_BEGIN) for part in raw.split(_HEADER)[1:] if part.startswith(_BEGIN))
    for number, part in enumerate(parts, start=1):
        text, end, _ = part.partition(_END)
        if not end:
            yield f"certificate {number} has no end line"
            continue
        try:
            der = base64.b64decode(text.translate(None, _SPACE), validate=True)
        except (binascii.Error, ValueError):
            yield f"certificate {number} is not base64"
            continue
        parse = _short_certificate if len(der) <= _CACHED_BYTES else _certificate
        yield parse(der) or f"certificate {number} is not X.509"


def _certificate(der: bytes) -> Certificate | None:
    # 12 MB, and a tenth of a second: only if there are certificates of the user's own.
    from cryptography import x509
    from cryptography.exceptions import InternalError
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        parsed = x509.load_der_x509_certificate(der)
        ends = parsed.not_valid_after_utc.timestamp()
        # Read as it is, for OpenSSL reads it too: what it would not take must not count as trusted.
        _ = parsed.issuer
        return Certificate(der, parsed.fingerprint(SHA256()), ends, parsed.subject.public_bytes())
    except (ValueError, TypeError, x509.InvalidVersion, InternalError):
        return None


_short_certificate = lru_cache(maxsize=_CACHED)(_certificate)

# Only keys of the kinds that TLS signs with, and of a size that is quick to read, are looked at.
#
# The author of a Secret may put any key there. To read one of DSA or DH means to compute with numbers as large
# as its author likes: 21 KB of DSA take half a minute, and some DH keys are an internal error to OpenSSL.
# Bytes of PEM; RSA with 8,192 bits has 6,400.
MAX_KEY = 16 * 1024
# Bits. OpenSSL takes no fewer (security level 2); with 16,384 each handshake stops all for half a second.
MIN_RSA, MAX_RSA = 2048, 8192
KINDS = f"RSA with {MIN_RSA} to {MAX_RSA} bits, EC, Ed25519 or Ed448"

_BLOCK = re.compile(rb"-----BEGIN (RSA |EC |)PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END \1PRIVATE KEY-----")
_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_SIGNS = re.compile(
    # PrivateKeyInfo (RFC 5958 section 2) up to its algorithm: rsaEncryption, id-ecPublicKey, Ed25519, Ed448.
    rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01]\x30" + _LENGTH
    + rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x03\x2b\x65[\x70\x71])",
    re.DOTALL,
)  # fmt: skip
# Characters of base64 that hold all of that.
_BEGINNING = 64


def signing_key(raw: bytes) -> bytes | None:
    """The PEM block of the first private key, if it is of a kind that TLS signs with; None for anything else."""
    found = _BLOCK.search(raw)
    if found is None or len(found[0]) > MAX_KEY:
        return None
    return found[0] if found[1] or _signs(found[0].split(b"-----")[2]) else None


def _signs(text: bytes) -> bool:
    beginning = text.translate(None, _SPACE)[:_BEGINNING]
    try:
        return _SIGNS.match(base64.b64decode(beginning[: len(beginning) // 4 * 4])) is not None
    except binascii.Error:
        return False
