from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.client import KubeClient
from connectors.kube.resources import CONNECTOR_CLASSES, CONNECTORS, EVENTS
from connectors.objects.metadata import ObjectMeta
from connectors.objects.names import object_name_problem
from controller.conditions import EventType, Happening
from controller.events import TRIES, EventRecorder, Regarding, manifest
from controller.leader import OnlyReplica
from controller.metrics import ControllerMetrics
from controller.writer import Writer
from tests.controller.world import World

REPO = Regarding.of(CONNECTORS, ObjectMeta(name="repo", namespace="team", uid="u1"))
GIT = Regarding.of(CONNECTOR_CLASSES, ObjectMeta(name="git", uid="u2"))
LOST = Happening(EventType.WARNING, "SecretNotFound", 'secrets "s" not found')
READY = Happening(EventType.NORMAL, "Ready", "every condition is met")
DROPPED = "connectors_controller_events_dropped_total"
CAPACITY = 20


class Recording:
    def __init__(self, world: World) -> None:
        self.client: KubeClient = world.client()
        self.registry = CollectorRegistry()
        metrics = ControllerMetrics(self.registry)
        self.writer = Writer(self.client, OnlyReplica(), world.clock, metrics)
        self.recorder = EventRecorder(self.client, self.writer, world.clock, metrics, CAPACITY)
        self.task: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> float | None:
        return self.registry.get_sample_value(DROPPED)

    async def start(self) -> None:
        await self.client.start()
        self.task = asyncio.create_task(self.recorder.run())

    async def stop(self) -> None:
        if self.task:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.client.close()


@pytest.fixture
async def recording(world: World) -> AsyncIterator[Recording]:
    made = Recording(world)
    await made.start()
    yield made
    await made.stop()


def test_what_an_event_holds() -> None:
    event = manifest(REPO, LOST, "2026-11-23T12:00:00Z")
    name = event["metadata"].pop("name")
    assert name.startswith("repo.")
    assert event == {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": "team"},
        "involvedObject": {
            "apiVersion": "connectors.alauda.io/v1alpha1",
            "kind": "Connector",
            "namespace": "team",
            "name": "repo",
            "uid": "u1",
        },
        "type": "Warning",
        "reason": "SecretNotFound",
        "message": 'secrets "s" not found',
        "source": {"component": "connectors-controller-manager"},
        "reportingComponent": "connectors-controller-manager",
        "firstTimestamp": "2026-11-23T12:00:00Z",
        "lastTimestamp": "2026-11-23T12:00:00Z",
        "count": 1,
    }


def test_events_of_a_class_are_in_default() -> None:
    event = manifest(GIT, READY, "t")
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["involvedObject"]


def test_the_name_says_what_is_said_of_whom() -> None:
    said = [
        manifest(REPO, LOST, "t1"),
        manifest(REPO, READY, "t1"),
        manifest(REPO, Happening(EventType.WARNING, "SecretNotFound", "other"), "t1"),
        manifest(Regarding.of(CONNECTORS, ObjectMeta(name="repo", namespace="team", uid="u9")), LOST, "t1"),
    ]
    assert len({event["metadata"]["name"] for event in said}) == len(said)
    assert manifest(REPO, LOST, "t2")["metadata"]["name"] == said[0]["metadata"]["name"]


@pytest.mark.parametrize("name", ["a" * 253, "a" * 199 + "-" + "b" * 50, "a" * 199 + "." + "b" * 50])
def test_long_names(name: str) -> None:
    made = manifest(Regarding.of(CONNECTOR_CLASSES, ObjectMeta(name=name)), READY, "t")["metadata"]["name"]
    assert object_name_problem(made) is None


async def test_a_repeated_event_is_counted(world: World, recording: Recording) -> None:
    recording.recorder.record(REPO, LOST)
    recording.recorder.record(REPO, READY)
    await world.settled()
    await world.advance(60)
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert world.events() == [("Normal", "Ready", 1), ("Warning", "SecretNotFound", 2)]
    (event,) = [item for item in world.server.all(EVENTS) if item["reason"] == "SecretNotFound"]
    assert event["firstTimestamp"] < event["lastTimestamp"]


async def test_a_repeated_event_is_counted_by_another_process_too(world: World, recording: Recording) -> None:
    recording.recorder.record(REPO, LOST)
    await world.settled()
    other = Recording(world)
    await other.start()
    other.recorder.record(REPO, LOST)
    await world.settled()
    await other.stop()
    assert world.events() == [("Warning", "SecretNotFound", 2)]


async def test_a_refusal_is_logged_once(world: World, recording: Recording, caplog: pytest.LogCaptureFixture) -> None:
    world.server.forbidden.add("/api/v1/namespaces/team/events")
    for _ in range(3):
        recording.recorder.record(REPO, LOST)
    await world.settled()
    assert caplog.text.count("Events are not written") == 1
    assert recording.dropped == 3
    world.server.forbidden.clear()
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert world.events() == [("Warning", "SecretNotFound", 1)]
    world.server.forbidden.add("/api/v1/namespaces/team/events")
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert caplog.text.count("Events are not written") == 2


async def test_a_namespace_that_is_being_deleted_hides_no_missing_role(
    world: World, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.terminating.add("team")
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert len(world.writes("/events")) == 1
    assert caplog.text == ""
    assert recording.dropped == 0
    world.server.forbidden.add("/api/v1/namespaces/team/events")
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert "Events are not written" in caplog.text
    assert recording.dropped == 1


async def test_what_fails_for_a_while_is_tried_again(world: World, recording: Recording) -> None:
    world.server.fail_next(3, 503)
    recording.recorder.record(REPO, LOST)
    await world.advance(10)
    assert world.events() == [("Warning", "SecretNotFound", 1)]
    world.server.conflict_next(2)
    recording.recorder.record(REPO, LOST)
    await world.advance(10)
    assert world.events() == [("Warning", "SecretNotFound", 2)]


async def test_a_server_that_names_a_day_is_asked_again_after_a_minute(world: World, recording: Recording) -> None:
    world.server.fail_next(1, 503, retry_after="86400")
    recording.recorder.record(REPO, LOST)
    await world.advance(59)
    assert world.events() == []
    await world.advance(2)
    assert world.events() == [("Warning", "SecretNotFound", 1)]


async def test_what_fails_for_long_is_dropped(
    world: World, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.absent.add("events")
    recording.recorder.record(REPO, LOST)
    await world.settled()
    assert recording.dropped == 1
    assert "was not written" in caplog.text
    world.server.absent.clear()
    for failure in (503, 409):
        caplog.clear()
        world.server.fail_next(TRIES, failure)
        recording.recorder.record(REPO, LOST)
        await world.advance(120)
        assert "an Event about Connector repo was not written: made to fail by the test" in caplog.text
    assert recording.dropped == 3
    assert world.events() == []


def overflow(recorder: EventRecorder) -> None:
    for _ in range(CAPACITY + 5):
        recorder.record(REPO, LOST)


async def test_no_more_wait_than_fit(world: World, caplog: pytest.LogCaptureFixture) -> None:
    recording = Recording(world)
    overflow(recording.recorder)
    assert recording.dropped == 5
    assert caplog.text.count("those that do not fit are dropped") == 1
    recording.recorder.clear()
    await recording.start()
    await world.settled()
    await recording.stop()
    assert world.events() == []
    overflow(recording.recorder)
    assert caplog.text.count("those that do not fit are dropped") == 2


async def test_each_burst_that_does_not_fit_is_logged(
    world: World, recording: Recording, caplog: pytest.LogCaptureFixture
) -> None:
    world.server.terminating.add("team")
    for bursts in (1, 2):
        overflow(recording.recorder)
        await world.until(recording.recorder._waiting.empty)
        assert caplog.text.count("those that do not fit are dropped") == bursts
