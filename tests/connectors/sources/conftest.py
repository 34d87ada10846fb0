"""A fake API server, and sources that follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from tests.connectors.sources.following import Follow, Followed
from tests.peers.fake_api_server import FakeApiServer


@pytest.fixture
async def follow(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[Follow]:
    client = KubeClient(Access(tmp_path / "kubeconfig"))
    server.kubeconfig(tmp_path)
    await client.start()
    running: list[asyncio.Task[None]] = []

    def start(**options: Any) -> Followed:
        followed = Followed(server, client, **options)
        running.append(asyncio.create_task(followed.source.run()))
        return followed

    yield start
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await client.close()
