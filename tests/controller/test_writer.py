from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.errors import ConflictError, NotFoundError, UnavailableError
from connectors.kube.resources import CONNECTORS, SERVICES
from controller.leader import OnlyReplica
from controller.metrics import ControllerMetrics
from controller.writer import NotLeaderError, Writer
from tests.controller.world import World, repo, service


class Follower(OnlyReplica):
    def may_write(self) -> bool:
        return False


@pytest.fixture
async def writer(world: World) -> AsyncIterator[tuple[Writer, CollectorRegistry]]:
    registry = CollectorRegistry()
    client = world.client()
    await client.start()
    yield Writer(client, OnlyReplica(), world.clock, ControllerMetrics(registry)), registry
    await client.close()


async def test_writes_are_counted(world: World, writer: tuple[Writer, CollectorRegistry]) -> None:
    write, registry = writer
    stored = world.server.put(repo())["metadata"]
    names = {"name": "repo", "namespace": "team", "uid": stored["uid"], "resourceVersion": stored["resourceVersion"]}
    await write.replace_status(CONNECTORS, {"metadata": names, "status": {"observedGeneration": 1}})
    assert world.status() == {"observedGeneration": 1}
    assert b'"c-a"' in await write.create(SERVICES, service("c-a"), "team")
    assert b'"mine"' in await write.merge(SERVICES, "c-a", {"metadata": {"labels": {"mine": "1"}}}, "team")
    with pytest.raises(ConflictError):
        await write.delete(SERVICES, "c-a", "team", uid="another", resource_version="")
    with pytest.raises(NotFoundError):
        await write.delete(SERVICES, "c-b", "team", uid="", resource_version="")
    counts = {
        (resource, verb): registry.get_sample_value(
            "connectors_controller_writes_total", {"resource": resource, "verb": verb}
        )
        for resource, verb in (("connectors", "update"), ("services", "create"), ("services", "patch"))
    }
    assert set(counts.values()) == {1.0}
    deletions = {"resource": "services", "verb": "delete"}
    assert registry.get_sample_value("connectors_controller_writes_total", deletions) == 2


async def test_who_does_not_lead_sends_nothing(world: World) -> None:
    client = world.client()
    await client.start()
    write = Writer(client, Follower(), world.clock, ControllerMetrics(CollectorRegistry()))
    for attempt in (
        write.create(SERVICES, service("c-a"), "team"),
        write.merge(SERVICES, "c-a", {}, "team"),
        write.replace_status(CONNECTORS, {}),
        write.delete(SERVICES, "c-a", "team", uid="", resource_version=""),
    ):
        with pytest.raises(NotLeaderError):
            await attempt
    assert world.server.requests == []
    await client.close()


async def test_a_write_ends_in_time(world: World, writer: tuple[Writer, CollectorRegistry]) -> None:
    world.hang("/services")
    write = asyncio.create_task(writer[0].create(SERVICES, service("c-a"), "team"))
    await world.advance(4.75)
    assert not write.done()
    await world.advance(0.5)
    with pytest.raises(UnavailableError, match="no answer within 5 s"):
        await write
