"""Public keys as the API server publishes them (JSON Web Key Set, RFC 7517), and what is signed with one. Pure.

The functions of `cryptography` are used with a few lines of our own, and no library for JSON Web Tokens: nothing here
says yes to anybody (docs/decisions/failing-callers.md).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from connectors.json_depth import too_deep

# An API server has one, and two or three while they are exchanged.
MAX_KEYS = 16
# Characters. Kubernetes takes the SHA-256 of the key in base64, which has 43.
MAX_KID = 256
# Bits of an RSA key. Kubernetes makes none below 2,048; one of 4,096 costs 66 us for each signature, three times as
# much as one of 2,048, and beyond that it goes up with the square.
RSA_BITS = range(2048, 4097)
# Bits of its exponent. It is 65,537 everywhere; what it costs goes up with this number.
EXPONENT_BITS = 17
# Octets of each half of an ES256 signature, and of each coordinate of the key (RFC 7518 sections 3.4 and 6.2.1).
COORDINATE = 32


class KeySetError(Exception):
    """It is no JSON Web Key Set."""


class Key(NamedTuple):
    """A public key, its one algorithm, and whether (signed, signature) are by it.

    That costs 20 us with RSA of 2,048 bits, 65 us with P-256: who asks has a budget for it.
    """

    algorithm: str
    has_signed: Callable[[bytes, bytes], bool]


class _Jwk(Struct, frozen=True):
    """RFC 7517 section 4, RFC 7518 sections 6.2.1 and 6.3.1."""

    kty: str = ""
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _KeySet(Struct, frozen=True):
    keys: tuple[msgspec.Raw, ...]


def keys_of(document: bytes) -> dict[str, Key]:
    """The keys of a set by their id, as far as they are of use: RS256 and ES256 (RFC 7518 section 3.1).

    The first call imports `cryptography`, 50 ms and 8 MiB of it: to be called in a thread. A key needs no more of it.

    Raises:
        KeySetError: see there.
    """
    if too_deep(document):
        raise KeySetError("it is nested too deeply")
    try:
        listed = msgspec.json.decode(document, type=_KeySet).keys
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise KeySetError("it is not a JSON object with a list of keys") from None
    found: dict[str, Key] = {}
    for raw in listed[:MAX_KEYS]:
        try:
            jwk = msgspec.json.decode(raw, type=_Jwk)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue  # one of another kind takes nothing from the others
        if 0 < len(jwk.kid) <= MAX_KID and jwk.use == "sig" and (key := _key(jwk)):
            # The first look at a signature imports what `cryptography` has left out so far, 25 ms.
            key.has_signed(b"", bytes(2 * COORDINATE))
            found[jwk.kid] = key
    return found


def _key(jwk: _Jwk) -> Key | None:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        if jwk.kty == "RSA" and jwk.alg in ("", "RS256"):
            return _rsa(decoded(jwk.n), decoded(jwk.e))
        if jwk.kty == "EC" and jwk.crv == "P-256" and jwk.alg in ("", "ES256"):
            return _ec(decoded(jwk.x), decoded(jwk.y))
    except (ValueError, UnsupportedAlgorithm):
        pass  # numbers that are no key, or a point that is not on the curve
    return None


def _rsa(modulus: bytes, exponent: bytes) -> Key | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
    from cryptography.hazmat.primitives.hashes import SHA256

    n, e = int.from_bytes(modulus), int.from_bytes(exponent)
    if n.bit_length() not in RSA_BITS or e.bit_length() > EXPONENT_BITS:
        return None
    key = RSAPublicNumbers(e, n).public_key()

    def has_signed(signed: bytes, signature: bytes) -> bool:
        try:
            key.verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True

    return Key("RS256", has_signed)


def _ec(x: bytes, y: bytes) -> Key | None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    if len(x) != COORDINATE or len(y) != COORDINATE:
        return None
    key = EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), SECP256R1()).public_key()

    def has_signed(signed: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * COORDINATE:
            return False
        halves = (int.from_bytes(half) for half in (signature[:COORDINATE], signature[COORDINATE:]))
        try:
            key.verify(encode_dss_signature(*halves), signed, ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    return Key("ES256", has_signed)


def decoded(text: str | bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2).

    Raises:
        ValueError: it is none.
    """
    raw = text.encode("ascii") if isinstance(text, str) else text
    try:
        return b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
