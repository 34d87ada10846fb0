from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

import pytest
import trustme

from connectors.objects.secret import KeyPair, SecretValue
from connectors.tls.loading import KeyPairError, load_key_pair

CA = trustme.CA()
ENCRYPTED = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgmmC4BBlbnYwICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""


def pair(leaf: trustme.LeafCert | None = None, key: bytes | None = None, chain: bytes | None = None) -> KeyPair:
    leaf = leaf or CA.issue_cert("client.example")
    own = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
    return KeyPair(own if chain is None else chain, SecretValue(leaf.private_key_pem.bytes() if key is None else key))


def test_a_pair_is_loaded() -> None:
    load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pair())


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(pair(key=b""), id="no key"),
        pytest.param(pair(key=ENCRYPTED), id="a key with a password"),
        pytest.param(pair(chain=b"junk"), id="no certificate"),
        pytest.param(pair(key=CA.issue_cert("other.example").private_key_pem.bytes()), id="another's key"),
    ],
)
def test_t14_what_cannot_be_loaded_is_not_quoted(broken: KeyPair) -> None:
    with pytest.raises(KeyPairError) as caught:
        load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), broken)
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_t14_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no files in memory (macOS), one is written for a moment, for nobody else to read."""
    modes: list[int] = []
    make = tempfile.mkstemp

    def watched(prefix: str) -> tuple[int, str]:
        descriptor, path = make(prefix=prefix, dir=tmp_path)
        modes.append(Path(path).stat().st_mode & 0o777)
        return descriptor, path

    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "mkstemp", watched)
    load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pair())
    with pytest.raises(KeyPairError):
        load_key_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pair(chain=b"junk"))
    assert modes == [0o600, 0o600]
    assert list(tmp_path.iterdir()) == []
