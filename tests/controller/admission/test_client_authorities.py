"""Threat 36: who may ask the webhook."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from prometheus_client import CollectorRegistry

from connectors.process.clock import SystemClock
from connectors.process.parsers import HostPort
from connectors.tls.serving import Serving
from controller.admission.admission import PATH, WebhookServer
from controller.admission.client_authorities import ClientAuthorities
from controller.admission.metrics import AdmissionMetrics
from tests.controller.admission.handshakes import material, pair
from tests.peers.handshakes import client_context
from tests.peers.trust import pem

FAILURES = "connectors_controller_webhook_handshake_failures_total"


class Guarded:
    """A webhook that answers everybody who gets in, and the file with those who do."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "ca.crt"
        self.registry = CollectorRegistry()
        self.read = 0
        serving = Serving(lambda _: None)
        self.authorities = ClientAuthorities(self.file, serving, SystemClock())
        made = material()
        serving.serve(pair(made))
        self.bundle = made.bundle
        metrics = AdmissionMetrics(self.registry)
        self.server = WebhookServer(self._answer, HostPort("127.0.0.1", 0), lambda: serving.now, SystemClock(), metrics)

    async def _answer(self, request: web.Request) -> web.Response:
        self.read += 1
        return web.Response(text=str(len(await request.read())))

    def take(self, text: str) -> None:
        self.file.write_text(text, encoding="ascii")
        self.authorities.look()

    async def lets_in(self, folder: Path | None = None, version: ssl.TLSVersion | None = None) -> bool:
        """Whether a client is answered that shows what client.pem in `folder` holds."""
        context = client_context(self.bundle)
        if version:
            context.maximum_version = version
        if folder is not None:
            context.load_cert_chain(folder / "client.pem")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            try:
                async with session.post(f"https://localhost:{self.server.port}{PATH}", data=b"abc") as answer:
                    return await answer.text() == "3"
            except (aiohttp.ClientError, ConnectionError):
                return False


def shown_by(authority: trustme.CA, folder: Path) -> Path:
    """The folder, with a certificate and key of that authority in client.pem."""
    folder.mkdir()
    authority.issue_cert("api-server.example").private_key_and_cert_chain_pem.write_to_path(str(folder / "client.pem"))
    return folder


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Guarded]:
    made = Guarded(tmp_path)
    await made.server.start()
    yield made
    await made.server.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_t36_a_client_without_a_certificate_is_not_read(
    version: ssl.TLSVersion, guarded: Guarded, tmp_path: Path
) -> None:
    ours, other = trustme.CA(), trustme.CA()
    ours_shown, other_shown = shown_by(ours, tmp_path / "ours"), shown_by(other, tmp_path / "other")
    assert not await guarded.lets_in(ours_shown, version), "nothing has been read yet: unknown means no"
    guarded.take(pem(ours))
    assert not await guarded.lets_in(None, version)
    assert not await guarded.lets_in(other_shown, version)
    assert guarded.read == 0
    assert guarded.registry.get_sample_value(FAILURES) == 3
    assert await guarded.lets_in(ours_shown, version)


async def test_t36_a_change_of_the_file_is_followed(guarded: Guarded, tmp_path: Path) -> None:
    one, two = trustme.CA(), trustme.CA()
    first, second = shown_by(one, tmp_path / "one"), shown_by(two, tmp_path / "two")
    for text, expected in ((pem(one), (True, False)), (pem(one, two), (True, True)), (pem(two), (False, True))):
        guarded.take(text)
        assert (await guarded.lets_in(first), await guarded.lets_in(second)) == expected
    guarded.take("")
    assert await guarded.lets_in(second), "what holds no CA leaves those before in place"


async def test_t36_a_servers_certificate_of_that_ca_is_no_clients(guarded: Guarded, tmp_path: Path) -> None:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(1), now + timedelta(1))
    ca = builder.add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    leaf_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
    for usage, expected in ((ExtendedKeyUsageOID.SERVER_AUTH, False), (ExtendedKeyUsageOID.CLIENT_AUTH, True)):
        leaf = (
            x509.CertificateBuilder(name, leaf_name, leaf_key.public_key(), 8, now - timedelta(1), now + timedelta(1))
            .add_extension(x509.ExtendedKeyUsage([usage]), False)
            .sign(key, hashes.SHA256())
        )
        private = leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / "client.pem").write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
        guarded.take(ca.public_bytes(serialization.Encoding.PEM).decode())
        assert await guarded.lets_in(tmp_path) is expected


def test_what_it_waits_for_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "ca.crt"
    authorities = ClientAuthorities(file, Serving(lambda _: None), SystemClock())
    authorities.look()
    authorities.look()
    assert len(caplog.messages) == 1
    assert authorities.missing() == f"the CAs of --webhook-client-ca in {file}: {file}: No such file or directory"
    file.write_text("-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n", encoding="ascii")
    authorities.look()
    assert authorities.missing()
    assert "canary" not in caplog.text
    file.write_text(pem(trustme.CA()), encoding="ascii")
    authorities.look()
    assert authorities.missing() is None
