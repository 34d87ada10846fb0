"""A fake API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.peers.fake_api_server import FakeApiServer


@pytest.fixture
async def server() -> AsyncIterator[FakeApiServer]:
    async with FakeApiServer() as server:
        yield server
