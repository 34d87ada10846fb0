"""Which private keys are looked at at all: the kinds that TLS signs with, and nothing that is slow to read. Pure.

Whoever may write a Secret may put any key there. To read one of DSA or DH means to compute with numbers as large as its
author likes: 21 KB of DSA take half a minute, and some DH keys are an internal error to OpenSSL.
"""

from __future__ import annotations

import base64
import binascii
import re

MAX_KEY = 16 * 1024
"""Bytes of PEM; RSA with 8,192 bits has 6,400."""
MIN_RSA, MAX_RSA = 2048, 8192
"""Bits. OpenSSL takes no fewer (security level 2); with 16,384 each handshake stops all for half a second."""
KINDS = f"RSA with {MIN_RSA} to {MAX_RSA} bits, EC, Ed25519 or Ed448"

_BLOCK = re.compile(rb"-----BEGIN (RSA |EC |)PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END \1PRIVATE KEY-----")
_LENGTH = rb"(?:[\x00-\x7f]|\x81.|\x82..)"
_SIGNS = re.compile(
    # PrivateKeyInfo (RFC 5958 section 2) up to its algorithm: rsaEncryption, id-ecPublicKey, Ed25519, Ed448.
    rb"\x30" + _LENGTH + rb"\x02\x01[\x00\x01]\x30" + _LENGTH
    + rb"\x06(?:\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01|\x07\x2a\x86\x48\xce\x3d\x02\x01|\x03\x2b\x65[\x70\x71])",
    re.DOTALL,
)  # fmt: skip
_BEGINNING = 64
"""Characters of base64 that hold all of that."""


def signing_key(raw: bytes) -> bytes | None:
    """The PEM block of the first private key, if it is of a kind that TLS signs with; None for anything else."""
    found = _BLOCK.search(raw)
    if found is None or len(found[0]) > MAX_KEY:
        return None
    return found[0] if found[1] or _signs(found[0].split(b"-----")[2]) else None


def _signs(text: bytes) -> bool:
    beginning = re.sub(rb"\s+", b"", text)[:_BEGINNING]
    try:
        return _SIGNS.match(base64.b64decode(beginning[: len(beginning) // 4 * 4])) is not None
    except binascii.Error:
        return False
