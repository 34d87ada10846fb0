"""Signs ServiceAccounts' tokens as an API server does, and publishes its key."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from connectors.kube.errors import NotFoundError

ISSUER = "https://kubernetes.default.svc"
COORDINATE = 32


class TokenIssuer:
    """With one key, of `bits` bits of RSA, or of P-256. It is an API server's `Documents` as well.

    `documents` holds what is published by path; `failure` is raised instead. `asked` counts.
    """

    def __init__(self, bits: int = 0, kid: str = "k1") -> None:
        self.kid = kid
        self._rsa = rsa.generate_private_key(65_537, bits) if bits else None
        self._ec = ec.generate_private_key(ec.SECP256R1())
        self.documents = {
            "/.well-known/openid-configuration": json.dumps(
                {"issuer": ISSUER, "jwks_uri": "https://elsewhere"}
            ).encode(),
            "/openid/v1/jwks": json.dumps({"keys": [self.jwk()]}).encode(),
        }
        self.failure: Exception | None = None
        self.asked = 0

    async def document(self, path: str, most: int) -> bytes:
        """See proxy/callers/signing_keys.py."""
        self.asked += 1
        if self.failure:
            raise self.failure
        if path not in self.documents:
            raise NotFoundError(404, "NotFound", "nothing is there")
        assert len(self.documents[path]) <= most
        return self.documents[path]

    @property
    def algorithm(self) -> str:
        """RS256 or ES256."""
        return "RS256" if self._rsa else "ES256"

    def jwk(self, **changed: str) -> dict[str, str]:
        """The public key, as the API server writes it."""
        made = {"kid": self.kid, "use": "sig", "alg": self.algorithm}
        if self._rsa:
            numbers = self._rsa.public_key().public_numbers()
            made |= {"kty": "RSA", "n": packed(number(numbers.n)), "e": packed(number(numbers.e))}
        else:
            point = self._ec.public_key().public_numbers()
            x, y = (packed(coordinate.to_bytes(COORDINATE)) for coordinate in (point.x, point.y))
            made |= {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        return made | changed

    def sign(self, signed: bytes) -> bytes:
        """A signature as it stands in a token."""
        if self._rsa:
            return self._rsa.sign(signed, padding.PKCS1v15(), SHA256())
        r, s = decode_dss_signature(self._ec.sign(signed, ec.ECDSA(SHA256())))
        return r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE)

    def token(self, header: dict[str, Any] | None = None, **claims: Any) -> bytes:
        """A token of team/builder for the API server, with other claims, or others in its header."""
        head = {"alg": self.algorithm, "kid": self.kid} | (header or {})
        body = {"iss": ISSUER, "aud": [ISSUER], "sub": "system:serviceaccount:team:builder", "exp": 9e9} | claims
        signed = ".".join(packed(json.dumps(part).encode()) for part in (head, body))
        return f"{signed}.{packed(self.sign(signed.encode()))}".encode()


def number(value: int) -> bytes:
    """Without zeros before it (RFC 7518 section 2)."""
    return value.to_bytes((value.bit_length() + 7) // 8)


def packed(raw: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
