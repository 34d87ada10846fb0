from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.client import KubeClient
from connectors.kube.errors import ConflictError, ForbiddenError, NotFoundError
from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, SERVICES
from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.metadata import ObjectMeta
from controller.leader import OnlyReplica
from controller.metrics import ControllerMetrics
from controller.service import Change, Create, HeldService, Remove, decode_service, required_action, service_key
from controller.services import Services
from controller.writer import Applier, Writer
from tests.controller.services_of import a_connector
from tests.controller.world import BACKEND, World, repo, service

CONNECTOR = a_connector()


@dataclass
class Applying:
    client: KubeClient
    services: Services
    applier: Applier

    async def made(self) -> HeldService:
        held = await self.applier.service(creation())
        assert held is not None
        return held


def creation() -> Create:
    action = required_action(CONNECTOR, None, BACKEND)
    assert isinstance(action, Create)
    return action


@pytest.fixture
async def applying(world: World) -> AsyncIterator[Applying]:
    client = world.client()
    await client.start()
    writer = Writer(client, OnlyReplica(), world.clock, ControllerMetrics(CollectorRegistry()))
    services = Services(client, world.clock)
    yield Applying(client, services, Applier(client, writer, services))
    await client.close()


async def test_a_service_is_made_and_known_at_once(world: World, applying: Applying) -> None:
    held = await applying.made()
    stored = world.service()
    assert stored is not None
    assert decode_service(msgspec.json.encode(stored)) == held
    assert applying.services.of(service_key(CONNECTOR)) == held
    assert required_action(CONNECTOR, held, BACKEND) is None


async def test_t26_a_name_that_is_taken_shows_who_has_it(world: World, applying: Applying) -> None:
    foreign = world.server.put(service("c-repo"))
    held = await applying.applier.service(creation())
    assert held is not None
    assert held.uid == foreign["metadata"]["uid"]
    assert applying.services.of(service_key(CONNECTOR)) is None
    assert not applying.services.known(service_key(CONNECTOR))
    assert world.service() == foreign


async def test_a_name_that_was_free_again_when_looked_at(world: World, applying: Applying) -> None:
    world.server.put(service("c-repo"))
    world.server.fail_next(1, 404, methods={"GET"})
    assert await applying.applier.service(creation()) is None


async def test_a_change_is_made_to_what_was_looked_at_only(world: World, applying: Applying) -> None:
    held = await applying.made()
    action = required_action(CONNECTOR, held, "elsewhere.example")
    assert isinstance(action, Change)
    after = await applying.applier.service(action)
    assert after is not None
    assert after.external_name == "elsewhere.example"
    assert applying.services.of(held.key) == after
    with pytest.raises(ConflictError):
        await applying.applier.service(action)


async def test_t26_a_removal_is_of_what_was_looked_at_only(world: World, applying: Applying) -> None:
    held = await applying.made()
    for other in (msgspec.structs.replace(held, uid="x"), msgspec.structs.replace(held, resource_version="1")):
        with pytest.raises(ConflictError):
            await applying.applier.service(Remove(other))
    assert world.service() is not None
    assert await applying.applier.service(Remove(held)) is None
    assert world.service() is None
    assert await applying.applier.service(Remove(held)) is None


async def test_what_the_api_server_refuses_is_raised(world: World, applying: Applying) -> None:
    world.server.terminating.add("team")
    with pytest.raises(ForbiddenError, match="being terminated"):
        await applying.made()


async def test_statuses(world: World, applying: Applying) -> None:
    stored = world.server.put(repo())
    metadata = msgspec.convert(stored["metadata"], ObjectMeta)
    status = ConnectorStatus(observed_generation=3)
    version = metadata.resource_version
    raw = await applying.applier.status(CONNECTORS, metadata, version, status)
    assert msgspec.json.decode(raw)["status"] == world.status() == {"observedGeneration": 3}
    assert world.server.get(CONNECTORS, "repo", "team")["spec"] == stored["spec"]  # type: ignore[index]
    with pytest.raises(ConflictError):
        await applying.applier.status(CONNECTORS, metadata, version, status)
    world.server.remove(CONNECTORS, "repo", "team")
    with pytest.raises(NotFoundError):
        await applying.applier.status(CONNECTORS, metadata, version, status)


async def test_the_status_of_a_class(world: World, applying: Applying) -> None:
    stored = world.server.get(CONNECTOR_CLASSES, "git")
    assert stored is not None
    metadata = msgspec.convert(stored["metadata"], ObjectMeta)
    status = ConnectorClassStatus(observed_generation=3)
    raw = await applying.applier.status(CONNECTOR_CLASSES, metadata, metadata.resource_version, status)
    assert msgspec.json.decode(raw)["status"] == {"observedGeneration": 3}
    assert world.server.get(SERVICES, "c-repo", "team") is None
