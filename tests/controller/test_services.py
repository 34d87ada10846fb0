from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from connectors.kube.resources import SERVICES
from controller.service import CLASS_LABEL, ServiceKey
from controller.services import Labelled, Services, newer
from tests.controller.services_of import a_connector, held, manifest_for
from tests.controller.world import PROXY, SYSTEM, World, service

OURS = ServiceKey("team", "c-repo")
BACKEND = ServiceKey(SYSTEM, PROXY)


@pytest.fixture
async def services(world: World) -> AsyncIterator[Services]:
    client = world.client()
    await client.start()
    found = Services(client, world.clock)
    task = asyncio.create_task(found.run())
    await world.settled()
    yield found
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await client.close()


def raw(**metadata: Any) -> bytes:
    manifest = manifest_for(a_connector())
    return msgspec.json.encode({**manifest, "metadata": {**manifest["metadata"], **metadata}})


async def test_labelled_ones_are_known(world: World, services: Services) -> None:
    told: list[ServiceKey] = []
    services.subscribe(told.append)
    world.server.put(service("c-repo", labels={CLASS_LABEL: ""}))
    world.server.put(service("other"))
    await world.settled()
    assert services.synced
    assert told == [OURS]
    assert services.of(OURS) is not None
    assert services.known(ServiceKey("team", "other"))
    assert services.of(ServiceKey("team", "other")) is None


async def test_referred_ones_are_fetched_by_name(world: World, services: Services) -> None:
    told: list[ServiceKey] = []
    services.subscribe(told.append)
    absent = ServiceKey("tools", "edge")
    services.refer({BACKEND, absent})
    assert not services.known(BACKEND)
    assert not services.synced
    await world.settled()
    assert services.synced
    assert services.known(BACKEND)
    assert services.known(absent)
    assert services.of(BACKEND) is not None
    assert services.of(absent) is None
    assert set(told) == {BACKEND, absent}
    world.server.put(service("edge", "tools"))
    world.server.remove(SERVICES, PROXY, SYSTEM)
    await world.settled()
    assert services.of(absent) is not None
    assert services.of(BACKEND) is None
    services.refer(set())
    assert services.of(absent) is None


async def test_t26_one_in_the_way_is_followed_until_it_goes(world: World, services: Services) -> None:
    told: list[ServiceKey] = []
    services.subscribe(told.append)
    world.server.put(service("c-repo"))
    services.watch(OURS)
    services.watch(OURS)
    await world.settled()
    assert services.of(OURS) is not None
    told.clear()
    world.server.remove(SERVICES, "c-repo", "team")
    await world.settled()
    assert told == [OURS]
    assert services.known(OURS)
    services.unwatch(OURS)
    services.unwatch(OURS)
    world.server.put(service("c-repo"))
    await world.settled()
    assert services.of(OURS) is None


async def test_one_that_gets_our_label_is_not_in_the_way_any_more(world: World, services: Services) -> None:
    services.watch(OURS)
    services.wrote(raw())
    assert services.known(OURS)
    assert services.of(OURS) is not None
    asked = len(world.server.requests)
    await world.settled()
    assert not [one for one in world.server.requests[asked:] if one.path.endswith("/c-repo")]


def test_answers_that_come_late() -> None:
    told: list[ServiceKey] = []
    labelled = Labelled(told.append)
    labelled.wrote(raw(resourceVersion="9"))
    labelled.changed(msgspec.Raw(raw(resourceVersion="8")))
    assert labelled.items[OURS].resource_version == "9"
    labelled.deleted(msgspec.Raw(raw(uid="former")))
    assert OURS in labelled.items
    labelled.deleted(msgspec.Raw(raw()))
    labelled.wrote(raw(resourceVersion="10"))
    assert OURS not in labelled.items
    labelled.wrote(raw(uid="next"))
    assert labelled.items[OURS].uid == "next"


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"resourceVersion": "9"}, {"resourceVersion": "10"}, "after"),
        ({"resourceVersion": "10"}, {"resourceVersion": "9"}, "before"),
        ({"resourceVersion": "10"}, {"resourceVersion": "9", "uid": "other"}, "after"),
        ({"resourceVersion": "b"}, {"resourceVersion": "a"}, "after"),
    ],
)
def test_newer(before: dict[str, str], after: dict[str, str], kept: str) -> None:
    old, new = (held(msgspec.json.decode(raw(**fields))) for fields in (before, after))
    assert newer(old, new) is (new if kept == "after" else old)
