from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trustme

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.resources import SECRETS
from connectors.objects.addresses import parse_address
from connectors.tls.pool import SYSTEM as SYSTEM_POOL
from connectors.trust import LABEL
from tests.connectors.sources.following import SYSTEM, Follow, Followed, a_class, a_connector, a_secret, flags
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.trust import pem, pool


def trusting(*authorities: trustme.CA) -> dict[str, Any]:
    return {"data": {"ca.crt": base64.b64encode(pem(*authorities).encode()).decode()}}


def ca_secret(name: str, known: trustme.CA, namespace: str = "team", labelled: str = "") -> dict[str, Any]:
    made = a_secret(name, namespace) | trusting(known)
    made["metadata"]["labels"] = {LABEL: labelled} if labelled else {}
    return made


async def test_cas_are_in_effect_as_they_come_and_go(server: FakeApiServer, follow: Follow) -> None:
    shared, own, other = trustme.CA(), trustme.CA(), trustme.CA()
    server.put(a_class())
    server.put(a_connector(caCertSecretRef={"name": "ca"}))
    server.put(ca_secret("shared", shared, SYSTEM, "true"))
    followed = follow()
    assert (await followed.judgement(lambda _: True)).trust.pool == SYSTEM_POOL
    server.put(flags(enable_custom_ca_certs="true"))
    await followed.judgement(lambda now: now.trust.pool == pool(shared))
    server.put(ca_secret("ca", own))
    await followed.judgement(lambda now: now.trust.pool == pool(shared, own))
    server.put(ca_secret("ca", other))
    await followed.judgement(lambda now: now.trust.pool == pool(shared, other))
    server.put(ca_secret("shared", shared, SYSTEM, "false"))
    await followed.judgement(lambda now: now.trust.pool == pool(other))
    server.put(ca_secret("shared", shared, SYSTEM, "true"))
    await followed.judgement(lambda now: now.trust.pool == pool(shared, other))
    server.remove(SECRETS, "shared", SYSTEM)
    await followed.judgement(lambda now: now.trust.pool == pool(other))
    server.remove(SECRETS, "ca", "team")
    gone = await followed.judgement(lambda now: now.trust.pool == SYSTEM_POOL)
    assert gone.authority is not None
    assert gone.authority.bundle is None
    server.put(flags(enable_custom_ca_certs="false"))
    await followed.judgement(lambda now: now.authority is None)


async def test_with_the_flag_off_nobodys_ca_is_fetched(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_class())
    server.put(a_connector(caCertSecretRef={"name": "ca"}))
    server.put(a_secret("ca"))
    followed = follow()
    await followed.judgement(lambda _: True)
    assert not [asked.path for asked in server.requests if asked.path.endswith("/secrets/ca")]


@asynccontextmanager
async def followed_over_tls(
    server_tls: ssl.SSLContext, ca: Path, folder: Path
) -> AsyncIterator[tuple[FakeApiServer, KubeClient, Followed]]:
    """A source with one Connector, whose API server is verified by the CA in that file."""
    async with FakeApiServer(server_tls) as server:
        server.put(a_class())
        server.put(a_connector())
        server.put(flags(enable_custom_ca_certs="true"))
        client = KubeClient(Access(server.kubeconfig(folder, ca=ca)))
        await client.start()
        followed = Followed(server, client)
        running = asyncio.create_task(followed.source.run())
        yield server, client, followed
        running.cancel()
        await asyncio.wait([running])
        await client.close()


async def test_the_api_servers_own_ca_counts_toward_it_alone(
    server_tls: ssl.SSLContext, authority: trustme.CA, authority_file: Path, tmp_path: Path
) -> None:
    async with followed_over_tls(server_tls, authority_file, tmp_path) as (server, _, followed):
        trust = (await followed.judgement(lambda now: now.authority is not None)).trust
    origins = [f"https://{name}" for name in ("kubernetes.default", "kubernetes.default.svc")]
    for url in (*origins, "https://kubernetes.default.svc.cluster.local:443", server.url):
        assert trust.toward(parse_address(url).origin) == pool(authority)
    for url in ("https://tool.example", "https://kubernetes.default.svc.evil.example", "https://kubernetes"):
        assert trust.toward(parse_address(url).origin) == SYSTEM_POOL


async def test_a_renewed_ca_of_the_api_server_counts(
    server_tls: ssl.SSLContext, authority: trustme.CA, tmp_path: Path
) -> None:
    """The kubelet writes ca.crt anew while the process runs."""
    file = tmp_path / "ca.crt"
    file.write_text(pem(authority))
    async with followed_over_tls(server_tls, file, tmp_path) as (server, client, followed):
        origin = parse_address(server.url).origin
        await followed.judgement(lambda now: now.trust.toward(origin) == pool(authority))
        other = trustme.CA()
        file.write_text(pem(authority, other))
        transport = client._transport
        assert transport._session is not None
        assert await transport._renewed(transport._session), "it looks once a minute, and at once where it is refused"
        await followed.judgement(lambda now: now.trust.toward(origin) == pool(authority, other))
