from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from connectors.model.secret_value import SecretValue
from controller.admission.certificates import Pair, expiry
from controller.admission.metrics import AdmissionMetrics
from controller.admission.serving import CertificateError, Serving
from tests.controller.admission.handshakes import client_context, material, pair, shown

EXPIRY = "connectors_controller_webhook_certificate_expiry_timestamp_seconds"


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def serving(registry: CollectorRegistry) -> Serving:
    return Serving(AdmissionMetrics(registry))


@pytest.fixture
async def port(serving: Serving) -> AsyncIterator[int]:
    """A listener that says nothing."""

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0, ssl=serving.context) as server:
        yield server.sockets[0].getsockname()[1]


async def test_without_a_certificate_no_handshake_ends_well(serving: Serving, port: int) -> None:
    assert not serving.ready
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(port)


async def test_a_new_certificate_is_served_without_a_restart(
    serving: Serving, port: int, registry: CollectorRegistry
) -> None:
    for made in (material(), material()):
        assert serving.serve(pair(made))
        assert serving.ready
        assert (await shown(port, made.bundle)).encode() == made.leaf
        ends = expiry(made.leaf)
        assert ends is not None
        assert registry.get_sample_value(EXPIRY) == ends.timestamp()
        assert not serving.serve(pair(made)), "it is served already"


def broken() -> list[Pair]:
    one, other = pair(material()), pair(material())
    return [
        Pair(one.certificate, other.key),
        Pair(b"junk", one.key),
        Pair(one.certificate, SecretValue(b"")),
        Pair(one.certificate, SecretValue(ENCRYPTED)),
    ]


ENCRYPTED = b"""-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgmmC4BBlbnYwICCAAw
-----END ENCRYPTED PRIVATE KEY-----
"""


@pytest.mark.parametrize("index", range(4))
async def test_what_cannot_be_served_leaves_the_one_before(index: int, serving: Serving, port: int) -> None:
    made = material()
    serving.serve(pair(made))
    with pytest.raises(CertificateError) as caught:
        serving.serve(broken()[index])
    assert "PRIVATE" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert (await shown(port, made.bundle)).encode() == made.leaf


async def test_old_versions_of_tls_are_refused(serving: Serving, port: int) -> None:
    serving.serve(pair(material()))
    await shown(port, version=ssl.TLSVersion.TLSv1_2)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"), pytest.raises((ssl.SSLError, ConnectionError)):
        await shown(port, version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_ticket_is_given(version: ssl.TLSVersion, serving: Serving, port: int) -> None:
    """Who resumes a session is shown no certificate, and would never see a new one. Go's clients do it by tickets."""
    made = material()
    serving.serve(pair(made))
    context = client_context(made.bundle)
    context.minimum_version = context.maximum_version = version
    assert not await asyncio.to_thread(_given_ticket, context, port)


def _given_ticket(context: ssl.SSLContext, port: int) -> bool:
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as tls,
    ):
        tls.recv(1)  # in TLS 1.3 tickets come after the handshake
        return tls.session is not None and tls.session.has_ticket


def test_t14_no_file_is_left(serving: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no files in memory (macOS), one is written for a moment, for nobody else to read."""
    modes: list[int] = []
    make = tempfile.mkstemp

    def watched(prefix: str) -> tuple[int, str]:
        descriptor, path = make(prefix=prefix, dir=tmp_path)
        modes.append(Path(path).stat().st_mode & 0o777)
        return descriptor, path

    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr(tempfile, "mkstemp", watched)
    made = material()
    assert serving.serve(pair(made))
    with pytest.raises(CertificateError):
        serving.serve(replace(pair(made), certificate=b"junk"))
    assert len(modes) == 3
    assert set(modes) == {0o600}
    assert list(tmp_path.iterdir()) == []
