from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import trustme

from connectors.kube.access import Access, AccessError, Connection, Endpoint, load
from connectors.kube.transport import KubeSession
from tests.peers.fake_api_server import FakeApiServer


async def test_a_retired_session_closes_after_its_last_request(server: FakeApiServer, tmp_path: Path) -> None:
    session = KubeSession(await load(Access(server.kubeconfig(tmp_path))))
    session.enter()
    response = await session.request("GET", f"{server.url}/api/v1/secrets")
    await session.retire()
    assert not session.closed
    assert (await response.json())["kind"] == "SecretList"
    await session.left()
    assert session.closed


async def test_an_idle_session_closes_at_once(server: FakeApiServer, tmp_path: Path) -> None:
    session = KubeSession(await load(Access(server.kubeconfig(tmp_path))))
    await session.retire()
    assert session.closed


async def test_a_ca_that_is_none(server: FakeApiServer, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("canary-secret")
    config = server.kubeconfig(tmp_path, ca=tmp_path / "ca")
    config.write_text(config.read_text().replace("http://127.0.0.1", "https://localhost"))
    connection = await load(Access(config))
    with pytest.raises(AccessError, match="cannot be used") as caught:
        KubeSession(connection)
    assert "canary" not in str(caught.value)


async def status(server: FakeApiServer, endpoint: Endpoint) -> int:
    session = KubeSession(Connection(endpoint, "", (), ()))
    try:
        session.enter()
        return (await session.request("GET", f"{endpoint.host}/api/v1/secrets")).status
    finally:
        await session.close()


async def test_tls_as_the_endpoint_says(tmp_path: Path) -> None:
    ours, users = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(tmp_path / "ca")
    leaf, certificate = users.issue_cert("me"), tmp_path / "me"
    leaf.private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("kubernetes").configure_cert(context)
    users.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    async with FakeApiServer(context) as server:
        whole = Endpoint(server.url, str(tmp_path / "ca"), b"", str(certificate), "", "kubernetes")
        assert await status(server, whole) == 200
        # Another name, another CA, no certificate of this end: no answer.
        for lacking in (replace(whole, server_name=""), replace(whole, ca_file=""), replace(whole, certificate="")):
            with pytest.raises(aiohttp.ClientError):
                await status(server, lacking)
        assert await status(server, replace(whole, ca_file="", server_name="", verify=False)) == 200


async def test_a_proxy_on_the_way(server: FakeApiServer) -> None:
    assert await status(server, Endpoint("http://api.test", proxy=server.url)) == 200


async def test_the_environment_is_read_once_with_the_access(
    server: FakeApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing listens there: aiohttp would go that way, whatever range NO_PROXY names.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert await status(server, Endpoint(server.url)) == 200
