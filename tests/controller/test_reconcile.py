from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec
import pytest

from connectors.kube.errors import ConflictError, UnauthorizedError, UnavailableError
from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, SERVICES
from connectors.objects.connector import ConnectorKey
from connectors.objects.connector_class import ConnectorClass
from controller.metrics import ReconcileResult
from controller.reconcile import referred_services
from controller.service import ServiceKey
from tests.controller.looking import KEY, PLATFORM, UNCHANGED, WRITTEN, Looking
from tests.controller.world import PROXY, SYSTEM, World, bare_class, repo, service
from tests.peers.api_objects import Manifest, Place, RefusedError

WELL, NOT_FOUND = ("True", ""), ("False", "ProxyServiceNotFound")


async def test_the_second_look_finds_nothing_to_do(world: World, look: Looking) -> None:
    assert await look() == WRITTEN
    assert [path.rsplit("/", 1)[-1] for _, path in world.writes()] == ["services", "status"]
    assert await look() == UNCHANGED
    await world.settled()
    assert await look() == UNCHANGED
    assert len(world.writes()) == 2


async def test_classes(world: World, look: Looking) -> None:
    assert await look("git") == WRITTEN
    assert await look("git") == UNCHANGED
    assert await look("none") == UNCHANGED


async def test_what_is_gone_or_going(world: World, look: Looking) -> None:
    found = world.server.get(CONNECTORS, "repo", "team")
    assert found is not None
    world.server.put({**found, "metadata": {**found["metadata"], "finalizers": ["keep"]}})
    world.server.remove(CONNECTORS, "repo", "team")
    await world.settled()
    assert await look() == UNCHANGED
    assert await look(ConnectorKey("team", "never")) == UNCHANGED
    assert world.writes() == []


async def test_a_class_that_is_going(world: World, look: Looking) -> None:
    world.server.put({**bare_class(proxy={}), "metadata": {"name": "git", "finalizers": ["keep"]}})
    world.server.remove(CONNECTOR_CLASSES, "git")
    await world.settled()
    assert look.source.connector_class("git") is not None
    assert await look("git") == UNCHANGED
    assert world.writes() == []


async def test_the_service_in_the_way_of_a_connector_that_is_gone_is_forgotten(world: World, look: Looking) -> None:
    world.server.put(service("c-repo"))
    assert await look() == WRITTEN
    await world.settled()
    told: list[ServiceKey] = []
    look.services.subscribe(told.append)
    world.server.put(service("c-repo", labels={"changed": "once"}))
    await world.settled()
    assert told == [ServiceKey("team", "c-repo")]
    world.server.remove(CONNECTORS, "repo", "team")
    await world.settled()
    assert await look() == UNCHANGED
    told.clear()
    world.server.put(service("c-repo", labels={"changed": "twice"}))
    await world.settled()
    assert told == []


async def test_what_the_snapshot_has_not_judged_yet_waits(world: World, look: Looking) -> None:
    world.server.put(repo(address="https://newer.example"))
    told = asyncio.Event()
    look.source.subscribe(lambda _: told.set(), lambda _: None)
    await told.wait()
    assert await look() == UNCHANGED
    assert world.writes() == []
    await world.settled()
    assert await look() == WRITTEN


async def test_services_that_are_not_known_yet_wait(world: World, look: Looking) -> None:
    look.services.refer({PLATFORM.proxy, ServiceKey("tools", "edge")})
    world.server.put(bare_class(proxy={"ref": {"kind": "Service", "name": "edge", "namespace": "tools"}}))
    await world.settled()
    look.services.refer(set())
    look.services.refer({ServiceKey("tools", "edge")})
    assert await look() == await look("git") == UNCHANGED
    assert world.writes() == []
    await world.settled()
    assert await look() == await look("git") == WRITTEN
    assert world.conditions()["Ready"] == ("False", "ProxyServiceNotFound")


async def test_a_conflict_is_raised_and_the_next_look_is_right(world: World, look: Looking) -> None:
    world.server.conflict_next(1)
    with pytest.raises(ConflictError):
        await look()
    assert await look() == WRITTEN
    assert world.conditions()["Ready"] == ("True", "")


async def test_a_service_that_comes_and_goes_is_looked_at_again(world: World, look: Looking) -> None:
    world.server.put(service("c-repo"))
    world.server.fail_next(20, 404, methods={"GET"})
    assert await look() == ReconcileResult.CONFLICT
    assert world.conditions()["ProxyServiceReady"] == ("Unknown", "ProxyServicePending")


async def test_a_refusal_is_told_in_the_status_once(world: World, look: Looking) -> None:
    world.server.terminating.add("team")
    assert await look() == ReconcileResult.REFUSED
    assert world.conditions()["ProxyServiceReady"] == ("False", "ProxyServiceFailed")
    assert await look() == ReconcileResult.REFUSED
    assert len(world.writes("/status")) == 1


async def test_a_token_that_is_refused_is_no_word_on_the_service(world: World, look: Looking) -> None:
    world.server.fail_next(2, 401, methods={"POST"})
    with pytest.raises(UnauthorizedError):
        await look()
    assert world.writes("/status") == []


async def test_an_api_server_that_is_away_writes_no_status(world: World, look: Looking) -> None:
    world.server.fail_next(1, 503, methods={"POST"})
    with pytest.raises(UnavailableError):
        await look()
    assert world.writes("/status") == []


async def test_an_answer_that_comes_late_brings_nothing_back(world: World, look: Looking) -> None:
    held = look.source.connector(KEY)
    assert held is not None
    written = world.server.put({**repo(), "status": {"observedGeneration": 9}})
    await world.settled()
    newest = world.server.put({**repo(), "status": {"observedGeneration": 10}})
    await world.settled()
    look.reconciler._told(KEY, held, msgspec.json.encode(written))
    now = look.source.connector(KEY)
    assert now is not None
    assert now.resource_version == newest["metadata"]["resourceVersion"]
    world.server.remove(CONNECTORS, "repo", "team")
    await world.settled()
    look.reconciler._told(KEY, held, msgspec.json.encode(written))
    assert look.source.connector(KEY) is None


async def test_t26_a_service_of_a_former_life_makes_room_in_one_look(world: World, look: Looking) -> None:
    await look()
    world.server.remove(CONNECTORS, "repo", "team")
    world.server.put(repo())
    await world.settled()
    assert await look() == WRITTEN
    assert world.conditions()["Ready"] == ("True", "")
    assert [method for method, _ in world.writes("/services")] == ["POST", "DELETE", "POST"]


def refuse_services(world: World) -> None:
    """From now on no Service can be changed, and the answer is another one each time."""
    pointers = itertools.count(0xC00E2DAA74)
    merge = world.server.objects.merge

    def refused(place: Place, patch: Manifest, subresource: str = "") -> Manifest:
        if place.plural == SERVICES.plural:
            raise RefusedError(422, "Invalid", f"ownerReferences: Invalid value: {next(pointers):#x}")
        return merge(place, patch, subresource)

    world.server.objects.merge = refused  # type: ignore[method-assign]


async def test_a_refusal_in_other_words_each_time_gets_round_no_back_off(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    made = world.service()
    assert made is not None
    refuse_services(world)
    before = len(world.writes())
    world.server.put({**made, "spec": {**made["spec"], "externalName": "elsewhere.example"}})
    await world.advance(60)
    assert world.conditions()["ProxyServiceReady"] == ("False", "ProxyServiceFailed")
    methods = [method for method, path in world.writes()[before:] if "/events" not in path]
    # 0.2 s, doubled each time: nine tries fit into a minute.
    assert methods.count("PUT") == 1
    assert 8 <= methods.count("PATCH") <= 9


async def test_its_own_write_wakes_nobody_and_anothers_does(world: World, look: Looking) -> None:
    told: list[tuple[object, bool]] = []
    look.source.subscribe(
        lambda key: told.append((key, look.reconciler.echoes(key))),
        lambda name: told.append((name, look.reconciler.echoes(name))),
    )
    await look()
    await look("git")
    await world.settled()
    # The watch is faster than the answer here; where an answer is first, the watch tells of nothing new.
    assert told == [(KEY, True), ("git", True)]
    world.server.put({**repo(), "status": {"observedGeneration": 9}})
    await world.settled()
    assert told[2:] == [(KEY, False)]
    world.server.cut_watches()
    await look()
    assert told[3:] == [(KEY, True)]


async def test_t26_a_service_that_another_object_controls_is_never_touched(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    made = world.service()
    assert made is not None
    (ours,) = made["metadata"]["ownerReferences"]
    another = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other", "uid": "u-9", "controller": True}
    owners = [{**ours, "controller": False}, another]
    taken = world.server.put({**made, "metadata": {**made["metadata"], "ownerReferences": owners}})
    before = len(world.writes("/services"))
    await world.advance(60)
    assert world.service() == taken
    assert len(world.writes("/services")) == before
    assert world.conditions()["ProxyServiceReady"] == ("False", "ProxyServiceConflict")
    assert "proxy" not in world.status()
    world.server.remove(SERVICES, "c-repo", "team")
    await world.settled()
    assert world.conditions()["Ready"] == WELL


async def test_what_is_never_answered_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.start()
    await world.settled()
    world.server.fail_next(9, 503, methods={"PUT"}, retry_after="86400")
    world.server.put(repo(connectorClassName="none"))
    await world.advance(119)
    assert "tries in a row" not in caplog.text
    await world.advance(2)
    assert len(world.writes("/connectors/")) == 3
    assert caplog.text.count("team/repo: 3 tries in a row failed") == 1
    await world.advance(120)
    assert len(world.writes("/connectors/")) == 5
    assert caplog.text.count("tries in a row") == 1


async def test_the_proxy_service_comes_and_goes(world: World) -> None:
    world.server.remove(SERVICES, PROXY, SYSTEM)
    world.server.put(repo())
    await world.start()
    await world.settled()
    assert world.conditions()["ProxyServiceReady"] == world.class_conditions()["ProxyReady"] == NOT_FOUND
    (condition,) = [item for item in world.status()["conditions"] if item["type"] == "ProxyServiceReady"]
    assert condition["message"] == f"Service {PROXY} not found in namespace {SYSTEM}"
    assert world.service() is not None
    world.server.put(service(PROXY, SYSTEM))
    await world.settled()
    assert world.conditions()["Ready"] == world.class_conditions()["Ready"] == WELL
    world.server.remove(SERVICES, PROXY, SYSTEM)
    await world.settled()
    assert world.conditions()["Ready"] == world.class_conditions()["Ready"] == NOT_FOUND
    assert [event[:2] for event in world.events()] == [("Normal", "Ready"), ("Warning", "ProxyServiceNotFound")]
    assert ("Warning", "ProxyServiceNotFound", 2) in world.events("default")


async def test_the_class_loses_and_gains_its_proxy(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    world.server.put(bare_class())
    await world.settled()
    assert world.service() is None
    assert world.conditions()["ProxyServiceReady"] == ("True", "NonProxy")
    assert "proxy" not in world.status()
    world.server.put(bare_class(proxy={"uri": "https://edge.example"}))
    await world.settled()
    assert world.service() is None
    assert world.status()["proxy"]["httpAddress"]["url"] == "https://edge.example"
    world.server.put(bare_class(proxy={"ref": {"kind": "Service", "name": PROXY, "namespace": SYSTEM}}))
    await world.settled()
    assert world.service() is not None
    assert world.conditions()["Ready"] == WELL


async def test_the_class_leads_to_another_service(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    world.server.put(bare_class(proxy={"ref": {"kind": "Service", "name": "edge", "namespace": "tools"}}))
    await world.settled()
    assert world.conditions()["ProxyServiceReady"] == NOT_FOUND
    made = world.service()
    assert made is not None
    assert made["spec"]["externalName"] == "edge.tools.svc.cluster.local"
    world.server.put(service("edge", "tools"))
    await world.settled()
    assert world.conditions()["Ready"] == WELL


async def test_the_resolver_changes(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    world.server.put(bare_class(resolver="path", proxy={}))
    await world.settled()
    url = world.status()["proxy"]["httpAddress"]["url"]
    assert url == "http://c-repo.team.svc.cluster.local/namespaces/team/connectors/repo"


async def test_the_class_is_deleted_and_made_again(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    made = world.service()
    world.server.remove(CONNECTOR_CLASSES, "git")
    await world.settled()
    assert world.conditions()["Ready"] == ("False", "ConnectorClassNotFound")
    assert world.service() == made
    world.server.put(bare_class(proxy={}))
    await world.settled()
    assert world.conditions()["Ready"] == WELL
    assert world.service() == made


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, set()),
        ({"proxy": {}}, {ServiceKey(SYSTEM, PROXY)}),
        ({"proxy": {"uri": "https://edge.example"}, "api": {"uri": "https://api.example"}}, set()),
        (
            {"proxy": {"ref": {"name": "edge", "namespace": "tools"}}, "api": {"ref": {"name": "api"}, "uri": "/v1"}},
            {ServiceKey("tools", "edge"), ServiceKey(SYSTEM, "api")},
        ),
        ({"proxy": {"uri": "nonsense"}}, set()),
    ],
)
def test_the_services_of_a_class(spec: dict[str, Any], expected: set[ServiceKey]) -> None:
    item = msgspec.convert(bare_class(**spec), ConnectorClass)
    assert referred_services(item, PLATFORM) == expected
