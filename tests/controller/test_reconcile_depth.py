from __future__ import annotations

import asyncio

from connectors.objects.connector import ConnectorKey
from tests.controller.looking import UNCHANGED, WRITTEN, Looking
from tests.controller.world import World, repo
from tests.peers.depth import RECONCILE, files_passed

MOST_FILES = 20
"""docs/architecture.md names them."""


async def test_one_reconcile_passes_twenty_files(world: World, look: Looking) -> None:
    # Its class is known already, from another Connector.
    world.server.put(repo("other"))
    await world.settled()
    await look(ConnectorKey("team", "other"))
    with files_passed(asyncio.current_task()) as files:
        assert await look() == WRITTEN
        assert await look() == UNCHANGED
    assert files == set(RECONCILE)
    assert len(files) <= MOST_FILES
