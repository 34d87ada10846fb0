from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kube.access import Access, AccessError, load
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
