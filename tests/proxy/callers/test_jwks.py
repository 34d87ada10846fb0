from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from proxy.callers.jwks import MAX_KEYS, MAX_KID, KeySetError, decoded, keys_of
from tests.peers.token_issuer import TokenIssuer, number, packed

ROOT = Path(__file__).parents[3]
RSA, EC = TokenIssuer(2048, "rsa"), TokenIssuer(kid="ec")


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize("issuer", [RSA, EC], ids=["RS256", "ES256"])
def test_what_is_signed_with_a_key_and_what_is_not(issuer: TokenIssuer) -> None:
    key = keys_of(key_set(issuer.jwk()))[issuer.kid]
    assert key.algorithm == issuer.algorithm
    signature = issuer.sign(b"signed")
    assert key.has_signed(b"signed", signature)
    assert not key.has_signed(b"another", signature)
    assert not key.has_signed(b"signed", signature[:-1] + bytes([signature[-1] ^ 1]))
    for odd in (b"", signature[:-1], signature + b"\0", b"\0" * len(signature), b"\xff" * len(signature)):
        assert not key.has_signed(b"signed", odd)
    assert not keys_of(key_set(TokenIssuer().jwk()))["k1"].has_signed(b"signed", signature)


@pytest.mark.parametrize("issuer", [RSA, EC], ids=["RS256", "ES256"])
def test_a_look_imports_nothing(issuer: TokenIssuer) -> None:
    """What is imported on the loop holds all others up, for 25 ms."""
    program = f"""
import sys
from proxy.callers.jwks import keys_of
assert not any(name.startswith("cryptography") for name in sys.modules)
key = keys_of({key_set(issuer.jwk())!r})["{issuer.kid}"]
before = set(sys.modules)
assert key.has_signed(b"signed", {issuer.sign(b"signed")!r})
assert set(sys.modules) == before
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


OF_NO_USE = {
    "no id": RSA.jwk(kid=""),
    "a long id": RSA.jwk(kid="k" * (MAX_KID + 1)),
    "for encryption": RSA.jwk(use="enc"),
    "another algorithm": RSA.jwk(alg="RS512"),
    "another kind": {"kty": "OKP", "kid": "k", "crv": "Ed25519", "x": "AA"},
    "a secret": {"kty": "oct", "kid": "k", "k": "AAAA"},
    "no numbers": {"kty": "RSA", "kid": "k"},
    "no base64": RSA.jwk(n="=+/"),
    "not ASCII": RSA.jwk(n="ä"),
    "a short modulus": RSA.jwk(n=packed(number((1 << 1023) + 1))),
    "a long modulus": RSA.jwk(n=packed(number((1 << 8191) + 1))),
    "an even exponent": RSA.jwk(e=packed(number(65_536))),
    "a long exponent": RSA.jwk(e=packed(number((1 << 32) + 1))),
    "another curve": EC.jwk(crv="P-384"),
    "no point of the curve": EC.jwk(x=packed(b"\1" * 32)),
    "a short coordinate": EC.jwk(x="AA"),
    "no object": 7,
    "odd values": {"kty": ["RSA"], "kid": "k"},
}


@pytest.mark.parametrize("odd", OF_NO_USE.values(), ids=OF_NO_USE)
def test_a_key_of_no_use_takes_nothing_from_the_others(odd: Any) -> None:
    assert set(keys_of(key_set(odd, EC.jwk()))) == {"ec"}


def test_there_are_so_many_at_most() -> None:
    many = keys_of(key_set(*(EC.jwk(kid=str(count)) for count in range(2 * MAX_KEYS))))
    assert len(many) == MAX_KEYS


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": {}}', b"\xff", b'{"keys": ' + b"[" * 9999])
def test_what_is_no_key_set(document: bytes) -> None:
    with pytest.raises(KeySetError):
        keys_of(document)


@pytest.mark.parametrize("text", ["a", "a=b", "é", "a b c"])
def test_what_is_no_base64url(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the type is what is promised
        decoded(text)
