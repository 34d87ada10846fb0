"""Replicas that keep the webhook's certificate, and a webhook that is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controller.admission.rotations import EMPTY, WEBHOOKS, Rotations
from tests.controller.admission.tried import Tried, listening
from tests.controller.world import World


@pytest.fixture
async def bare(world: World) -> AsyncIterator[Rotations]:
    """Nothing of deploy/webhook.yaml is there."""
    found = Rotations(world)
    yield found
    await found.stop()


@pytest.fixture
def rotations(bare: Rotations) -> Rotations:
    bare.world.server.put(EMPTY)
    bare.world.server.put(WEBHOOKS)
    return bare


@pytest.fixture
async def tried(tmp_path: Path) -> AsyncIterator[Tried]:
    async with listening(tmp_path) as found:
        yield found
