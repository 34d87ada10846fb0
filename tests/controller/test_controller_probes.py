"""What probing does to statuses, with the whole controller against an API server that counts its writes."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from connectors.dial.kind import DialFailure, FailureKind
from connectors.http.response import Response
from connectors.kube.resources import EVENTS, SECRETS
from connectors.objects.connector import ConnectorKey
from tests.controller.world import World, bare_class, repo
from tests.peers.api_objects import Manifest
from tests.peers.probe_sender import OK

WELL = ("True", "")
WAITING = ("Unknown", "ProbePending")
BASIC = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": True}
LOGIN = 'Basic {{ printf "%s:%s" .Secret.StringData.username .Secret.StringData.password | b64enc }}'
AUTH = {
    "authName": "basicAuth",
    "probe": {"http": {"path": "/auth", "httpHeaders": [{"name": "Authorization", "value": LOGIN}]}},
}
PROBING: dict[str, Any] = {
    "proxy": {},
    "auth": {"types": [BASIC]},
    "livenessProbe": {"http": {"path": "/live"}},
    "authProbes": [AUTH],
}


def login(password: str) -> Manifest:
    data = {"username": "robot", "password": password}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "team"},
        "type": "kubernetes.io/basic-auth",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def probed(name: str = "repo", **spec: Any) -> Manifest:
    return repo(name, auth={"name": "basicAuth", "secretRef": {"name": "login"}}, **spec)


@pytest.fixture
async def probing(world: World) -> World:
    """Class git probes both, and the tool takes the password `right` alone."""
    world.server.put(bare_class(**PROBING))
    world.server.put(login("right"))

    def answer(origin: str, target: str) -> Response:
        sent = {item.name: item.value.reveal() for item in world.tool.sent[-1].headers}
        wanted = b"Basic " + base64.b64encode(b"robot:right")
        return OK if target != "/auth" or sent.get("Authorization") == wanted else Response(401)

    world.tool.answer = answer
    return world


def pair(world: World, name: str = "repo") -> tuple[tuple[str, str], tuple[str, str]]:
    conditions = world.conditions(name)
    return conditions["LivenessReady"], conditions["AuthReady"]


def probe_time(world: World) -> str:
    found = next(item for item in world.status()["conditions"] if item["type"] == "LivenessReady")
    return str(found["lastProbeTime"])


async def test_conditions_follow_the_tool_and_the_secret(probing: World) -> None:
    world = probing
    world.tool.hold = hold = asyncio.Event()
    world.server.put(probed())
    await world.start()
    await world.advance(2)
    assert pair(world) == (WAITING, WAITING)
    hold.set()
    await world.advance(1)
    assert pair(world) == (WELL, WELL)
    assert world.conditions()["Ready"] == WELL
    world.server.put(login("wrong"))
    await world.advance(1)
    assert pair(world) == (WELL, ("False", "AuthenticationFailed"))
    assert world.conditions()["Ready"] == ("False", "AuthenticationFailed")
    world.server.put(login("right"))
    await world.advance(1)
    assert pair(world) == (WELL, WELL)
    well = world.tool.answer
    world.tool.answer = lambda origin, target: DialFailure(FailureKind.REFUSED, "tool.example:443 refuses connections")
    await world.advance(67)
    assert pair(world) == (("False", "ConnectionFailed"), ("False", "ConnectionFailed"))
    world.tool.answer = well
    await world.advance(133)
    assert pair(world) == (WELL, WELL)
    told = {reason for _, reason, _ in world.events()}
    assert {"AuthenticationFailed", "ConnectionFailed", "Ready"} <= told


async def test_with_nothing_changed_only_the_time_is_written_and_every_ten_minutes(probing: World) -> None:
    probing.server.put(probed())
    await probing.start()
    await probing.settled()
    before, first = probing.writes(), probe_time(probing)
    await probing.advance(560)
    assert probing.writes() == before
    assert len(probing.tool.sent) >= 18
    await probing.advance(120)
    added = probing.writes()[len(before) :]
    assert [method for method, _ in added] == ["PUT"]
    assert probe_time(probing) > first
    assert probing.events() == [("Normal", "Ready", 1)]


async def test_another_replica_takes_over_without_a_flicker(probing: World) -> None:
    probing.server.put(probed())
    first = await probing.start()
    await probing.settled()
    await first.stop()
    before, asked = probing.writes(), len(probing.tool.sent)
    await probing.start()
    await probing.settled()
    assert probing.writes() == before
    assert len(probing.tool.sent) >= asked + 2, "it looked for itself"
    assert pair(probing) == (WELL, WELL)


async def test_what_is_found_while_a_write_waits_for_its_answer_is_written_after_it(probing: World) -> None:
    well = probing.tool.answer
    probing.tool.answer = lambda origin, target: Response(500)
    probing.server.put(login("wrong"))
    probing.server.put(probed())
    await probing.start()
    await probing.settled()
    probing.tool.answer = lambda origin, target: Response(503)
    # The watch is faster than the answer: the controller sees its own status in between.
    probing.server.keeps_answers = answers = asyncio.Event()
    await probing.until(lambda: "503" in repr(probing.status()), seconds=140)
    await probing.advance(1)
    probing.tool.answer = well
    probing.server.put(login("right"))
    await probing.advance(1)
    answers.set()
    await probing.advance(3)
    assert pair(probing) == (WELL, WELL)


async def test_a_secret_that_goes_leaves_no_stale_true(probing: World) -> None:
    probing.server.put(probed())
    await probing.start()
    await probing.settled()
    probing.server.remove(SECRETS, "login", "team")
    await probing.advance(3)
    assert pair(probing) == (WELL, ("Unknown", "SecretNotFound"))


async def test_a_class_that_changes_has_all_its_connectors_probed_anew(probing: World) -> None:
    for number in range(5):
        probing.server.put(probed(f"repo-{number}"))
    await probing.start()
    await probing.settled()
    asked = len(probing.tool.sent)
    changed: dict[str, Any] = {**PROBING, "livenessProbe": {"http": {"path": "/other"}}}
    probing.server.put(bare_class(**changed))
    await probing.advance(2)
    assert probing.tool.targets[asked:].count("/other") == 5
    assert all(pair(probing, f"repo-{number}") == (WELL, WELL) for number in range(5))


async def test_who_follows_probes_nothing(probing: World) -> None:
    probing.server.put(probed())
    await probing.start("a")
    await probing.settled()
    asked = len(probing.tool.sent)
    await probing.start("b")
    await probing.settled()
    await probing.advance(10)
    assert len(probing.tool.sent) - asked <= 2, "one replica's, when its minute is over"


async def test_t14_no_status_event_or_log_holds_the_credential(
    probing: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    probing.server.put(login("canary-81c7"))
    probing.server.put(probed())
    await probing.start()
    await probing.settled()
    assert pair(probing)[1] == ("False", "AuthenticationFailed")
    everything = repr(probing.status()) + repr(probing.server.all(EVENTS, "team")) + caplog.text
    encoded = base64.b64encode(b"robot:canary-81c7").decode()
    assert "canary-81c7" not in everything
    assert encoded not in everything


async def test_what_a_probe_tells_while_the_status_is_being_written_is_looked_at(probing: World) -> None:
    probing.server.put(probed())
    replica = await probing.start()
    await probing.settled()
    key = ConnectorKey("team", "repo")
    held = replica.source.connector(key)
    assert held is not None
    assert held.status is not None
    before = replica.metric("connectors_controller_reconcile_total", result="unchanged") or 0
    # The watch has told of the write, its answer is still under way.
    with replica.controller._reconciler._echo(key, (held.item, held.status)):
        replica.controller._prober._tell(key)
        await probing.until(
            lambda: replica.metric("connectors_controller_reconcile_total", result="unchanged") == before + 1
        )
