from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controller.looking import Looking
from tests.controller.world import World, repo


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
