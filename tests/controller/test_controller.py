from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from connectors.kube.resources import CONNECTORS, LEASES, SERVICES
from connectors.objects.metadata import API_VERSION
from controller.service import CLASS_LABEL
from tests.controller.world import BACKEND, SYSTEM, World, bare_class, repo, service
from tests.peers.api_objects import Manifest

WELL = ("True", "")
PENDING = ("Unknown", "ProxyServicePending")
NOT_FOUND = ("False", "ProxyServiceNotFound")
CLASS_NOT_FOUND = ("False", "ConnectorClassNotFound")
CONFLICT = ("False", "ProxyServiceConflict")


def changed(manifest: Manifest | None, **spec: Any) -> Manifest:
    assert manifest is not None
    return {**manifest, "spec": {**manifest["spec"], **spec}}


async def test_a_connector_gets_its_service_and_its_status(world: World) -> None:
    world.server.put(repo())
    replica = await world.start()
    await world.settled()
    made = world.service()
    assert made is not None
    assert made["spec"]["externalName"] == BACKEND
    assert world.conditions()["Ready"] == world.conditions()["ProxyServiceReady"] == WELL
    assert world.status()["proxy"] == {"httpAddress": {"url": "http://c-repo.team.svc.cluster.local"}}
    assert world.class_conditions()["Ready"] == WELL
    assert world.events() == [("Normal", "Ready", 1)]
    assert [method for method, _ in world.writes("/connectors/")] == ["PUT"]
    assert [method for method, _ in world.writes("/services")] == ["POST"]
    assert replica.controller.missing() is None


async def test_with_nothing_changed_nothing_is_written_for_ten_minutes(world: World) -> None:
    world.server.put(repo())
    world.server.put(repo("lost", connectorClassName="none"))
    world.server.put(service("c-taken"))
    world.server.put(repo("taken"))
    await world.start("a")
    await world.settled()
    before = world.writes()
    assert before
    await world.advance(600)
    assert world.writes() == before
    renewals = [asked for asked in world.server.writes() if "/leases" in asked.path]
    assert 200 < len(renewals) <= 310


async def test_a_restart_writes_nothing_and_tells_no_event_again(world: World) -> None:
    world.server.put(repo())
    first = await world.start()
    await world.settled()
    await first.stop()
    before = world.writes()
    await world.start()
    await world.settled()
    assert world.writes() == before


async def test_drift_is_repaired(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    made = world.service()
    assert made is not None
    annotated = {**made["metadata"], "annotations": {"mine": "1"}, "labels": {CLASS_LABEL: "git", "mine": "1"}}
    drifted = {**changed(made, type="ClusterIP", externalName="evil.example", clusterIP="10.0.0.1")}
    world.server.put({**drifted, "metadata": annotated})
    await world.settled()
    repaired = world.service()
    assert repaired is not None
    assert repaired["spec"]["externalName"] == BACKEND
    assert repaired["spec"]["type"] == "ExternalName"
    assert "clusterIP" not in repaired["spec"]
    assert repaired["metadata"]["annotations"] == {"mine": "1"}
    assert repaired["metadata"]["labels"]["mine"] == "1"
    assert repaired["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "connectors-controller-manager"
    assert [method for method, _ in world.writes("/services")] == ["POST", "PATCH"]


async def test_t26_our_service_without_its_label_is_found_by_its_owner(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    made = world.service()
    assert made is not None
    world.server.put({**made, "metadata": {**made["metadata"], "labels": {}}})
    await world.settled()
    labelled = world.service()
    assert labelled is not None
    assert labelled["metadata"]["uid"] == made["metadata"]["uid"]
    assert labelled["metadata"]["labels"][CLASS_LABEL] == "git"
    assert world.conditions()["Ready"] == WELL
    before = world.writes()
    await world.advance(60)
    assert world.writes() == before


async def test_our_service_is_deleted(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    world.server.remove(SERVICES, "c-repo", "team")
    await world.settled()
    assert world.service() is not None
    assert [method for method, _ in world.writes("/services")] == ["POST", "POST"]
    assert len(world.writes("/connectors/")) == 1


@pytest.mark.parametrize(
    "labels", [{}, {CLASS_LABEL: "git", "app.kubernetes.io/managed-by": "connectors-controller-manager"}]
)
async def test_t26_a_foreign_service_is_never_touched(world: World, labels: dict[str, str]) -> None:
    foreign = world.server.put(service("c-repo", labels=labels))
    world.server.put(repo())
    await world.start()
    await world.settled()
    assert world.service() == foreign
    assert world.conditions()["Ready"] == CONFLICT
    assert "proxy" not in world.status()
    assert world.events() == [("Warning", "ProxyServiceConflict", 1)]
    world.server.put(bare_class())
    await world.settled()
    world.server.put(bare_class(proxy={}))
    await world.settled()
    assert world.service() == foreign
    before = world.clock.monotonic()
    world.server.remove(SERVICES, "c-repo", "team")
    await world.until(lambda: world.service() is not None, seconds=1)
    assert world.clock.monotonic() - before <= 1
    await world.settled()
    assert world.conditions()["Ready"] == WELL


async def test_t26_deleted_and_made_again_under_the_same_name(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    former = world.service()
    world.server.remove(CONNECTORS, "repo", "team")
    again = world.server.put(repo(address="https://other.example"))
    await world.settled()
    made = world.service()
    assert former is not None
    assert made is not None
    assert made["metadata"]["uid"] != former["metadata"]["uid"]
    (owner,) = made["metadata"]["ownerReferences"]
    assert owner["uid"] == again["metadata"]["uid"]
    assert world.conditions()["Ready"] == WELL
    assert [method for method, _ in world.writes("/services")] == ["POST", "DELETE", "POST"]


async def test_a_deleted_connector_is_left_to_garbage_collection(world: World) -> None:
    world.server.put({**repo(), "metadata": {**repo()["metadata"], "finalizers": ["keep"]}})
    replica = await world.start()
    await world.settled()
    labels = {"namespace": "team", "connector": "repo", "type": "Ready", "status": "True"}
    assert replica.metric("connectors_controller_connector_condition", **labels) == 1
    before = world.writes()
    world.server.remove(CONNECTORS, "repo", "team")
    world.server.put(bare_class(proxy={"uri": "/p"}))
    await world.settled()
    assert [path for _, path in world.writes()[len(before) :] if "connectorclasses" not in path] == []
    found = world.server.get(CONNECTORS, "repo", "team")
    assert found is not None
    world.server.put({**found, "metadata": {**found["metadata"], "finalizers": []}})
    await world.settled()
    assert world.server.get(CONNECTORS, "repo", "team") is None
    assert replica.metric("connectors_controller_connector_condition", **labels) is None


async def test_a_namespace_that_is_being_deleted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.server.terminating.add("team")
    world.server.put(repo("other", "elsewhere"))
    world.server.terminating.discard("team")
    world.server.put(repo())
    world.server.terminating.add("team")
    with caplog.at_level(logging.CRITICAL):
        await world.start()
        await world.settled()
        assert world.conditions("other", "elsewhere")["Ready"] == WELL
        assert world.conditions()["ProxyServiceReady"] == ("False", "ProxyServiceFailed")
        statuses = len(world.writes("/status"))
        attempts = len(world.writes("/namespaces/team/services"))
        await world.advance(600)
        assert len(world.writes("/namespaces/team/services")) - attempts < 12
        assert len(world.writes("/status")) == statuses
        world.server.terminating.discard("team")
        await world.advance(300)
    assert world.conditions()["Ready"] == WELL


async def test_a_storm_of_conflicts(world: World) -> None:
    for number in range(5):
        world.server.put(repo(f"repo-{number}"))
    world.server.conflict_next(20)
    await world.start()
    await world.until(lambda: all(world.conditions(f"repo-{n}").get("Ready") == WELL for n in range(5)))
    before = world.writes()
    await world.advance(60)
    assert world.writes() == before


async def test_a_server_that_fails_for_a_while(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.server.put(repo())
    world.server.fail_next(6, 503, methods={"POST", "PUT", "PATCH"})
    await world.start()
    await world.until(lambda: world.conditions().get("Ready") == WELL)


async def test_a_malformed_object_is_told_and_harms_no_other(world: World) -> None:
    malformed = repo("odd")
    malformed["spec"]["address"] = {"not": "a string"}
    world.server.put(malformed)
    world.server.put(repo())
    await world.start()
    await world.settled()
    assert world.conditions()["Ready"] == WELL
    assert world.conditions("odd")["Ready"] == ("False", "ConnectorInvalid")
    assert world.service("c-odd") is None


async def test_a_malformed_class_takes_no_service_away(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    world.server.put(bare_class(proxy="nonsense"))
    await world.settled()
    assert world.class_conditions()["Ready"] == ("False", "ConnectorClassInvalid")
    assert world.conditions()["Ready"] == ("False", "ConnectorClassInvalid")
    assert world.service() is not None


async def test_a_status_that_somebody_else_edits_is_put_back(world: World) -> None:
    world.server.put(repo())
    await world.start()
    await world.settled()
    right = world.status()
    found = world.server.get(CONNECTORS, "repo", "team")
    assert found is not None
    world.server.put({**found, "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "Forged"}]}})
    await world.settled()
    assert {item["type"]: item["status"] for item in world.status()["conditions"]} == {
        item["type"]: item["status"] for item in right["conditions"]
    }
    world.server.put({**found, "status": {"conditions": "nonsense"}})
    await world.settled()
    assert world.conditions()["Ready"] == WELL


async def test_two_at_once_write_everything_once(world: World) -> None:
    for number in range(4):
        world.server.put(repo(f"repo-{number}"))
    first, second = await world.start("a"), await world.start("b")
    await world.settled()
    services = [path for method, path in world.writes("/services") if method == "POST"]
    statuses = world.writes("/connectors/")
    assert len(services) == 4
    assert len(statuses) == len(set(statuses)) == 4
    leaders = [replica.metric("connectors_controller_leader") for replica in (first, second)]
    assert sorted(leaders, key=float) == [0, 1]  # type: ignore[arg-type]
    leader = (first, second)[leaders.index(1)]
    follower = (first, second)[leaders.index(0)]
    before = world.clock.monotonic()
    await leader.stop()
    world.server.put(repo("late"))
    await world.until(lambda: world.conditions("late").get("Ready") == WELL)
    assert world.clock.monotonic() - before < 5
    assert follower.metric("connectors_controller_leader") == 1
    await world.settled()
    assert len(world.writes("/connectors/")) == 5


async def test_a_leader_that_is_cut_off_hands_over_and_follows(world: World, caplog: pytest.LogCaptureFixture) -> None:
    first = await world.start("a")
    await world.settled()
    second = await world.start("b")
    await world.settled()
    first.controller.queue.add_after("git", 600)
    lease = world.server.get(LEASES, "connectors-controller-manager", SYSTEM)
    assert lease is not None
    world.server.put({**lease, "spec": {**lease["spec"], "holderIdentity": "b"}})
    await world.advance(10)
    assert not first.leadership.may_write()
    assert second.leadership.may_write()
    assert first.controller.queue._due == {}
    world.server.put(repo())
    await world.settled()
    assert world.conditions()["Ready"] == WELL
    assert first.metric("connectors_controller_connector_condition", namespace="team") is None
    assert len(world.writes("/connectors/")) == 1


async def test_what_waited_to_be_told_is_not_told_by_a_later_lead(world: World) -> None:
    world.server.put(repo())
    world.server.put(repo("other"))
    first = await world.start("a")
    await world.settled()
    world.server.fail_next(1, 503, methods={"POST"}, retry_after="600")
    for name in ("repo", "other"):
        world.server.put(repo(name, connectorClassName="none"))
    await world.until(lambda: world.conditions("other")["Ready"] == world.conditions()["Ready"] == CLASS_NOT_FOUND)
    tried = world.writes("/events")
    lease = world.server.get(LEASES, "connectors-controller-manager", SYSTEM)
    assert lease is not None
    world.server.put({**lease, "spec": {**lease["spec"], "holderIdentity": "gone"}})
    await world.until(lambda: not first.leadership.may_write())
    await world.until(first.leadership.may_write)
    await world.settled()
    assert world.writes("/events") == tried


@pytest.mark.parametrize("missing", ["/api/v1/services", "/apis/connectors.alauda.io", "/api/v1/secrets"])
async def test_who_may_not_list_does_not_compete(world: World, missing: str, caplog: pytest.LogCaptureFixture) -> None:
    world.server.put(repo())
    world.server.forbidden.add(missing)
    replica = await world.start("a")
    await world.advance(60)
    assert world.server.get(LEASES, "connectors-controller-manager", SYSTEM) is None
    assert replica.metric("connectors_controller_leader") == 0
    world.server.forbidden.clear()
    await world.until(lambda: world.conditions().get("Ready") == WELL, seconds=90)
    assert replica.metric("connectors_controller_leader") == 1


async def test_the_only_replica_waits_for_its_lists_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.server.put(repo())
    world.server.forbidden.add("/api/v1/services")
    replica = await world.start()
    await world.advance(60)
    assert replica.metric("connectors_controller_reconcile_total", result="unchanged") == 0
    assert world.writes() == []


async def test_whoever_leads_keeps_on_when_the_api_server_was_away(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    replica = await world.start("a")
    await world.settled()
    lost = asyncio.create_task(replica.leadership.lost())
    await world.server.stop()
    await world.advance(5)
    assert replica.leadership.may_write()
    await world.server.start()
    world.server.forbidden.add("/api/v1/services")
    world.server.put(repo())
    await world.until(lambda: "Ready" in world.conditions(), seconds=90)
    assert not lost.done()
    lost.cancel()


async def test_a_retry_after_is_honoured(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await world.start()
    await world.settled()
    world.server.fail_next(1, 429, methods={"PUT"}, retry_after="40")
    world.server.put(repo(connectorClassName="none"))
    await world.advance(39)
    assert len(world.writes("/connectors/")) == 1
    await world.advance(2)
    assert len(world.writes("/connectors/")) == 2
    assert world.conditions()["Ready"] == CLASS_NOT_FOUND


async def test_a_status_that_it_wrote_is_not_looked_at_again(world: World) -> None:
    replica = await world.start()
    await world.settled()
    looks = [replica.metric("connectors_controller_reconcile_total", result=how) for how in ("written", "unchanged")]
    assert looks == [1, 0]


async def test_metrics(world: World) -> None:
    world.server.put(repo())
    replica = await world.start()
    await world.settled()
    assert replica.metric("connectors_controller_leader") == 1
    assert replica.metric("connectors_controller_queue_depth") == 0
    assert replica.metric("connectors_controller_writes_total", resource="services", verb="create") == 1
    assert replica.metric("connectors_controller_writes_total", resource="connectors", verb="update") == 1
    assert (replica.metric("connectors_controller_reconcile_total", result="written") or 0) >= 2


async def test_what_it_waits_for(world: World) -> None:
    world.server.forbidden.add("/api/v1/services")
    world.server.put(repo())
    replica = await world.start()
    await world.advance(5)
    assert (replica.controller.missing() or "").startswith("the list of services: ")
    assert world.writes() == []
    assert API_VERSION not in (replica.controller.missing() or "")
