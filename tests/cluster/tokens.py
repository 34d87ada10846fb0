"""Tokens of all kinds: real ones by TokenRequest, and what an attacker or the passing of time makes of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.peers.api_server import ApiServer

COORDINATE = 32
"""Octets of each half of an ES256 signature (RFC 7518 section 3.4)."""


def claims_of(token: str) -> dict[str, Any]:
    """The payload of a JSON Web Token."""
    found: dict[str, Any] = json.loads(_unpacked(token.split(".")[1]))
    return found


def signing_key(server: ApiServer) -> ec.EllipticCurvePrivateKey:
    """The key with which the API server signs ServiceAccount tokens."""
    return _key(server.folder / "sa.key")


def signed(like: str, key: ec.EllipticCurvePrivateKey, **changed: object) -> str:
    """A token with the header of `like` and its claims, some of them changed, signed by `key`."""
    head = like.split(".", maxsplit=1)[0]
    payload = _packed(json.dumps(claims_of(like) | changed).encode())
    r, s = decode_dss_signature(key.sign(f"{head}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
    return f"{head}.{payload}.{_packed(r.to_bytes(COORDINATE) + s.to_bytes(COORDINATE))}"


def unsigned(like: str, **changed: object) -> str:
    """The same claims with the algorithm `none` (RFC 8725 section 2.1)."""
    head = _packed(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    return f"{head}.{_packed(json.dumps(claims_of(like) | changed).encode())}."


def bound_to_secret(server: ApiServer, namespace: str, account: str, secret: Mapping[str, Any]) -> str:
    """A token that ends with a Secret: what a Pod's token is to its Pod, which no kubelet runs here."""
    metadata = secret["metadata"]
    reference = {"kind": "Secret", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"boundObjectRef": reference}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    token: str = server.must("POST", path, body)["status"]["token"]
    return token


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _packed(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
