"""A fake API server, a client of it and a Selection of its Secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from tests.connectors.kube.chosen import Chosen
from tests.connectors.kube.weather import running
from tests.peers.fake_api_server import FakeApiServer


@pytest.fixture
async def client(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[KubeClient]:
    client = KubeClient(Access(server.kubeconfig(tmp_path)), request_timeout=2.0)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def chosen(server: FakeApiServer, client: KubeClient) -> AsyncIterator[Chosen]:
    chosen = Chosen(server, client)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(chosen.selection.run()))
        await stack.enter_async_context(running(chosen.reflector.run()))
        await server.watching()
        yield chosen
