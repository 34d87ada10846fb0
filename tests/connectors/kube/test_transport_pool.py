from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import trustme

from connectors.kube.access import Access, AccessError, Connection, Endpoint, load
from connectors.kube.transport import Pool
from tests.peers.fake_api_server import FakeApiServer


async def test_a_retired_pool_closes_after_its_last_request(server: FakeApiServer, tmp_path: Path) -> None:
    pool = Pool(await load(Access(server.kubeconfig(tmp_path))))
    pool.enter()
    response = await pool.request("GET", f"{server.url}/api/v1/secrets")
    await pool.retire()
    assert not pool.closed
    assert (await response.json())["kind"] == "SecretList"
    await pool.left()
    assert pool.closed


async def test_an_idle_pool_closes_at_once(server: FakeApiServer, tmp_path: Path) -> None:
    pool = Pool(await load(Access(server.kubeconfig(tmp_path))))
    await pool.retire()
    assert pool.closed


async def test_a_ca_that_is_none(server: FakeApiServer, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("canary-secret")
    config = server.kubeconfig(tmp_path, ca=tmp_path / "ca")
    config.write_text(config.read_text().replace("http://127.0.0.1", "https://localhost"))
    connection = await load(Access(config))
    with pytest.raises(AccessError, match="cannot be used") as caught:
        Pool(connection)
    assert "canary" not in str(caught.value)


async def status(server: FakeApiServer, endpoint: Endpoint) -> int:
    pool = Pool(Connection(endpoint, "", (), ()))
    try:
        pool.enter()
        return (await pool.request("GET", f"{endpoint.host}/api/v1/secrets")).status
    finally:
        await pool.close()


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
