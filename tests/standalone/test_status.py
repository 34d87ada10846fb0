from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import msgspec

from connectors.inventory import Inventory, build
from connectors.objects.conditions import ConditionStatus, ConditionType
from connectors.objects.connector import ConnectorKey
from connectors.objects.connector_class import HttpProbe, ParameterSpec, Probe
from connectors.snapshot import Objects
from controller.probes.outcome import PENDING, Probed, ProbeOutcome, Probes
from standalone.status import StatusBoard, localhost_url
from tests.builders import successive
from tests.standalone.builders import git, login, repo, some_objects, with_secret

KEY = ConnectorKey("default", "repo")


def board() -> StatusBoard:
    ticks: Iterator[str] = (f"t{number}" for number in range(1, 100))
    return StatusBoard(lambda key: localhost_url(key, 8080), lambda: next(ticks))


def ready(statuses: StatusBoard, key: ConnectorKey = KEY) -> tuple[str, str, str]:
    condition = statuses.current.connectors[key].status.condition(ConditionType.READY)
    assert condition is not None
    return condition.status.value, condition.reason, condition.last_transition_time


def test_empty_before_the_first_snapshot() -> None:
    assert board().current.generation == 0
    assert not board().current.connectors


def test_statuses_follow_the_snapshots() -> None:
    statuses = board()
    wanted = repo(auth=with_secret())
    objects = Objects(connectors=(wanted,), classes=(git(),))
    inventory = Inventory()
    statuses.update(inventory.build(objects))
    assert ready(statuses) == ("False", "SecretNotFound", "t1")

    snapshot = inventory.build(dataclasses.replace(objects, secrets=(login(),)))
    statuses.update(snapshot)
    assert ready(statuses) == ("True", "", "t2")
    assert statuses.current.generation == snapshot.generation

    statuses.update(inventory.build(Objects(classes=(git(),))))
    assert not statuses.current.connectors


def test_what_did_not_change_keeps_its_status() -> None:
    statuses = board()
    objects = some_objects()
    first, again = successive(objects, objects)
    statuses.update(first)
    before = statuses.current
    statuses.update(again)
    for key, entry in before.connectors.items():
        assert statuses.current.connectors[key] is entry
    assert statuses.current.classes["git"] is before.classes["git"]


def test_address_in_localhost_form() -> None:
    statuses = board()
    statuses.update(build(some_objects()))
    proxy = statuses.current.connectors[ConnectorKey("team", "other")].status.proxy
    assert proxy is not None
    assert proxy.http_address.url == "http://c-other.team.localhost:8080"


def test_the_scheme_is_the_proxys() -> None:
    assert localhost_url(ConnectorKey("team", "x"), 8443, "https") == "https://c-x.team.localhost:8443"


def test_class_that_breaks_a_rule_is_not_ready() -> None:
    twice = (ParameterSpec(name="p", default=""), ParameterSpec(name="p", default=""))
    broken = msgspec.structs.replace(git(), spec=msgspec.structs.replace(git().spec, params=twice))
    statuses = board()
    statuses.update(build(Objects(connectors=(repo(),), classes=(broken,))))
    condition = statuses.current.classes["git"].status.conditions[-1]
    assert (condition.status.value, condition.reason) == ("False", "ConnectorClassInvalid")
    assert ready(statuses)[:2] == ("False", "ConnectorClassInvalid")


def test_what_was_probed_while_a_snapshot_is_judged_is_in_its_statuses() -> None:
    probed = {"now": PENDING}
    spec = msgspec.structs.replace(git().spec, liveness_probe=Probe(http=HttpProbe(path="/")))
    objects = Objects(connectors=(repo(),), classes=(msgspec.structs.replace(git(), spec=spec),))
    statuses = StatusBoard(lambda key: "http://x", lambda: "t", lambda _: probed["now"])
    steps = statuses.follow(build(objects))
    next(steps)
    assert not statuses.current.connectors, "as before, until all are judged"
    probed["now"] = Probes(liveness=Probed(ProbeOutcome(ConditionStatus.TRUE), "t"))
    statuses.refresh(KEY)
    assert list(steps) == []
    assert ready(statuses)[0] == "True"
