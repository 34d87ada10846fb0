"""A TLS 1.3 client that can say, behind its handshake, what no library would (RFC 8446 sections 5.2 and 7)."""

from __future__ import annotations

import hashlib
import hmac
import ssl
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HANDSHAKE, APPLICATION = 22, 23
KEY_UPDATE = b"\x18\x00\x00\x01\x01"
"""That asks for an answer."""
HALF_A_KEY_UPDATE = KEY_UPDATE[:4]
_HASHES = {"TLS_AES_256_GCM_SHA384": "sha384", "TLS_AES_128_GCM_SHA256": "sha256"}


class Records:
    """What one end of a connection says, record by record; `cipher` and `log` are those of its handshake."""

    def __init__(self, cipher: str, log: Path) -> None:
        lines = [line.split() for line in log.read_text(encoding="ascii").splitlines()]
        secret = next(bytes.fromhex(line[2]) for line in reversed(lines) if line[0] == "CLIENT_TRAFFIC_SECRET_0")
        self._hash = _HASHES[cipher]
        self._begin(secret)

    def record(self, kind: int, data: bytes) -> bytes:
        """One record, encrypted."""
        inner = data + bytes([kind])
        head = struct.pack(">BHH", APPLICATION, 0x0303, len(inner) + 16)
        number = self._number.to_bytes(12, "big")
        self._number += 1
        nonce = bytes(a ^ b for a, b in zip(self._iv, number, strict=True))
        return head + self._key.encrypt(nonce, inner, head)

    def updated(self) -> bytes:
        """A whole key update, behind which the next keys count."""
        said = self.record(HANDSHAKE, KEY_UPDATE)
        self._begin(self._expanded(b"traffic upd", hashlib.new(self._hash).digest_size))
        return said

    def _begin(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._key = AESGCM(self._expanded(b"key", 32 if self._hash == "sha384" else 16))
        self._iv = self._expanded(b"iv", 12)

    def _expanded(self, label: bytes, size: int) -> bytes:
        """HKDF-Expand-Label without a context."""
        info = struct.pack(">HB", size, len(label) + 6) + b"tls13 " + label + b"\x00"
        # One block is more than any of these takes (RFC 5869 section 2.3).
        return hmac.new(self._secret, info + b"\x01", self._hash).digest()[:size]


def logging_context(context: ssl.SSLContext, log: Path) -> ssl.SSLContext:
    """The same, of TLS 1.3 alone, with the secrets in a file."""
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.keylog_filename = str(log)
    return context
