"""One certificate after another: what is trusted and what is served, meanwhile and afterwards."""

from __future__ import annotations

import pytest

from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS
from controller.admission.rotation import CONFIGURATION, SECRET
from tests.controller.admission.former import Former
from tests.controller.admission.rotations import (
    DAY,
    EMPTY,
    LEFT,
    LIVES,
    LOOK,
    NAMES,
    WEBHOOKS,
    Rotations,
    refuse,
    shows,
)
from tests.controller.world import SYSTEM


@pytest.mark.parametrize("emptied", [True, False])
async def test_a_new_certificate_is_trusted_before_it_is_served_and_the_one_before_goes_last(
    emptied: bool, rotations: Rotations
) -> None:
    world = rotations.world
    replicas = [await rotations.start() for _ in range(2)]
    await world.settled()
    old = rotations.material
    world.clock.step(LEFT.total_seconds())
    if emptied:
        world.server.put(EMPTY)
    await world.advance(LOOK)
    new = rotations.material
    assert new.leaf != old.leaf
    assert new.bundle == new.leaf + old.leaf
    assert rotations.bundles() == [new.bundle] * 2
    await world.advance(62)
    assert all(rotations.serves(replica) for replica in replicas)
    assert rotations.writes() <= 2 * 2, "each replica tried once, and one of them was quicker"
    world.clock.step(3500)
    await world.advance(LOOK)
    assert rotations.material.bundle == new.leaf
    assert rotations.material.leaf == new.leaf
    assert rotations.bundles() == [new.leaf] * 2
    assert all(rotations.serves(replica) for replica in replicas)
    assert all(len(replica.ends) == 2 for replica in replicas)


async def test_until_api_servers_have_heard_the_certificate_before_is_served(rotations: Rotations) -> None:
    world = rotations.world
    replicas = [await rotations.start() for _ in range(2)]
    await world.settled()
    old = rotations.material
    world.server.put(EMPTY)
    await world.advance(58)
    assert rotations.bundles() == [rotations.material.leaf + old.leaf] * 2
    assert all(shows(replica, old) for replica in replicas)
    await world.advance(10)
    assert all(rotations.serves(replica) for replica in replicas)


async def test_a_replica_that_starts_meanwhile_publishes_and_serves_what_is_new(rotations: Rotations) -> None:
    await rotations.start()
    await rotations.world.settled()
    rotations.world.server.put(EMPTY)
    await rotations.world.advance(5)
    late = await rotations.start()
    await rotations.world.settled()
    assert rotations.serves(late)
    assert len(late.ends) == 1


async def test_what_cannot_be_published_is_not_served_until_the_one_before_ends(
    rotations: Rotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotations.world
    replica = await rotations.start()
    await world.settled()
    old = rotations.material
    refuse(world, "/validatingwebhookconfigurations/", monkeypatch)
    world.server.put(EMPTY)
    await world.advance(5)
    world.clock.step(4000)
    await world.advance(62)
    assert rotations.material.leaf != old.leaf
    assert rotations.bundles() == [old.leaf] * 2
    assert shows(replica, old)
    world.clock.step(LIVES.life.total_seconds() - 4000)
    await world.advance(62)
    assert rotations.serves(replica)


async def test_a_configuration_that_is_gone_meanwhile_keeps_nothing_up(rotations: Rotations) -> None:
    world = rotations.world
    replica = await rotations.start()
    await world.settled()
    world.server.put(EMPTY)
    await world.advance(5)
    world.server.remove(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
    await world.advance(5)
    assert rotations.serves(replica), "no API server asks"
    world.server.put(WEBHOOKS)
    await world.advance(5)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_what_an_earlier_version_left_is_served_and_published_as_it_is(rotations: Rotations) -> None:
    world = rotations.world
    former = Former(world.clock.now() - 5 * DAY)
    stored = {**EMPTY, "data": former.secret(tuple(NAMES), 90 * DAY)}
    world.server.put(stored)
    replica = await rotations.start()
    world.clock.step(5000)
    await world.advance(LOOK)
    assert rotations.writes() == 0
    assert rotations.serves(replica)
    assert rotations.bundles() == [former.authority] * 2


async def test_what_an_earlier_version_left_is_exchanged_before_it_ends(rotations: Rotations) -> None:
    world = rotations.world
    former = Former(world.clock.now())
    world.server.put({**EMPTY, "data": former.secret(tuple(NAMES), 90 * DAY)})
    replica = await rotations.start()
    await world.settled()
    old = rotations.material
    world.clock.step(LEFT.total_seconds())
    await world.advance(LOOK)
    new = rotations.material
    assert new.bundle == new.leaf + former.authority
    assert rotations.bundles() == [new.bundle] * 2
    stored = world.server.get(SECRETS, SECRET, SYSTEM)
    assert stored is not None
    assert stored["data"].keys() == {"ca.crt", "tls.crt", "tls.key"}, "the authority's key is gone"
    assert new.leaf != old.leaf
    await world.advance(62)
    world.clock.step(3600)
    await world.advance(LOOK)
    assert rotations.serves(replica)
    assert rotations.bundles() == [new.leaf] * 2


async def test_an_authority_that_an_earlier_version_had_just_added_stays(rotations: Rotations) -> None:
    """Replicas of that version may go on, and nothing is undone that they wrote."""
    world = rotations.world
    former, newer = (Former(world.clock.now() - 5 * DAY) for _ in range(2))
    world.server.put({**EMPTY, "data": former.secret(tuple(NAMES), 90 * DAY, newer.authority)})
    replica = await rotations.start()
    world.clock.step(5000)
    await world.advance(LOOK)
    assert rotations.writes() == 0
    assert rotations.serves(replica)
    assert rotations.bundles() == [newer.authority + former.authority] * 2
