from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from tests.controller.looking import Looking
from tests.controller.world import World, repo
from tests.peers.trust import system_store_of


@pytest.fixture(scope="package", autouse=True)
def _system_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with system_store_of(trustme.CA(), tmp_path_factory.mktemp("store")):
        yield


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path) as made:
        yield made


@pytest.fixture
async def look(world: World) -> AsyncIterator[Looking]:
    looking = Looking(world)
    world.server.put(repo())
    await looking.start()
    await world.settled()
    yield looking
    await looking.stop()
