from __future__ import annotations

import ssl
from pathlib import Path

import certifi
import pytest
import trustme

from connectors.trust import system_trust


def authorities(context: ssl.SSLContext) -> set[int]:
    return {hash(str(entry["subject"])) for entry in context.get_ca_certs()}


def test_t22_everything_is_verified() -> None:
    context = system_trust().context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_generations_differ() -> None:
    assert system_trust().generation == 1
    assert system_trust(7).generation == 7


def test_the_store_is_where_openssl_looks(
    monkeypatch: pytest.MonkeyPatch, authority_file: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority_file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    (entry,) = system_trust().context.get_ca_certs()
    assert "trustme" in str(entry["subject"])


def test_without_a_store_certifi_stands_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "lost.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    expected = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    expected.load_verify_locations(cafile=certifi.where())
    assert authorities(system_trust().context) == authorities(expected)


def test_t24_a_private_key_is_no_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    trustme.CA().private_key_pem.write_to_path(str(key))
    monkeypatch.setenv("SSL_CERT_FILE", str(key))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "lost"))
    assert system_trust().context.get_ca_certs() == []
