"""A fake API server and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from tests.peers.fake_api_server import FakeApiServer


@pytest.fixture
async def client(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[KubeClient]:
    client = KubeClient(Access(server.kubeconfig(tmp_path)), request_timeout=2.0)
    await client.start()
    yield client
    await client.close()
