"""What a change costs, and that it comes to the same as a look at everything."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest
import trustme

from connectors import inventory as inventory_module
from connectors.inventory import Inventory
from connectors.objects.connector import ConnectorKey
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import BASIC_AUTH, OPAQUE, SecretKey
from connectors.rules.examination import Examined, Inputs, examine
from connectors.snapshot import Changes, Objects, Snapshot, Wanted
from tests.builders import basic_class, connector, secret, secret_of
from tests.peers.trust import pem

MANY = 500
AUTH = {"name": "basicAuth", "secretRef": {"name": "login"}}


def many() -> Objects:
    """Each Connector with a Secret of its own, half of them of each class, and two with one CA."""
    ca: dict[str, Any] = {"caCertSecretRef": {"name": "ca"}}
    connectors = tuple(
        connector(
            f"tool-{number}",
            connectorClassName=f"class-{number % 2}",
            auth={"name": "basicAuth", "secretRef": {"name": f"login-{number}"}},
            **(ca if number < 2 else {}),
        )
        for number in range(MANY)
    )
    classes = tuple(msgspec.structs.replace(basic_class(), metadata=ObjectMeta(name=f"class-{n}")) for n in range(2))
    secrets = tuple(secret(f"login-{number}", kind=BASIC_AUTH, username=b"u", password=b"p") for number in range(MANY))
    return Objects(connectors, classes, secrets, FeatureFlags(enable_custom_ca_certs=True))


class Looks:
    """Counts how often a Connector is looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: Counter[str] = Counter()
        monkeypatch.setattr(inventory_module, "examine", self._examine)

    def _examine(self, inputs: Inputs) -> Examined:
        self.at[inputs.connector.metadata.name] += 1
        return examine(inputs)

    def take(self) -> set[str]:
        assert all(times == 1 for times in self.at.values()), "looked at twice for one change"
        found, self.at = set(self.at), Counter()
        return found


def follow(inventory: Inventory, changes: Changes) -> tuple[int, Snapshot]:
    """The steps that a change takes, and what it comes to."""
    inventory.take(changes)
    return sum(1 for _ in inventory.work()), inventory.snapshot()


def test_a_change_of_one_object_is_about_those_that_it_concerns(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, inventory, objects = Looks(monkeypatch), Inventory(), many()
    before = inventory.build(objects)
    assert len(looks.take()) == MANY
    login = secret("login-7", kind=BASIC_AUTH, username=b"u", password=b"new")
    moved = connector("tool-9", connectorClassName="class-1")
    ca, key = secret_of({"ca.crt": pem(trustme.CA()).encode()}, OPAQUE, "ca"), ConnectorKey("default", "tool-11")
    for changes, concerned in (
        (Changes(secrets={login.key: login}), {"tool-7"}),
        (Changes(connectors={moved.key: moved}), {"tool-9"}),
        (Changes(secrets={ca.key: ca}), {"tool-0", "tool-1"}),
        (Changes(connectors={key: None}), set()),
        (Changes(secrets={SecretKey("default", "nobodys"): login}), set()),
        (Changes(unread={SecretKey("default", "login-9"): "late"}), set()),
    ):
        steps, now = follow(inventory, changes)
        assert looks.take() == concerned
        assert steps <= len(concerned) + 2, "nothing else is gone through"
        assert {item.name for item in now.changed} == concerned | ({"tool-11"} if key in changes.connectors else set())
    after = inventory.snapshot()
    assert len([item for item in before.plans if before.plans[item] is after.plans.get(item)]) == MANY - 5


def test_a_change_of_a_class_is_about_its_connectors(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, inventory = Looks(monkeypatch), Inventory()
    inventory.build(many())
    looks.take()
    kind = msgspec.structs.replace(basic_class(), metadata=ObjectMeta(name="class-1", generation=2))
    steps, now = follow(inventory, Changes(classes={"class-1": kind}))
    assert looks.take() == {f"tool-{number}" for number in range(1, MANY, 2)}
    assert (steps, now.changed_classes) == (MANY // 2 + 1, ("class-1",))


def test_what_is_handed_out_stays_as_it_is() -> None:
    inventory, objects = Inventory(), many()
    before = inventory.build(objects)
    held = dict(before.plans)
    inventory.take(Changes(connectors={objects.connectors[0].key: None}))
    for _ in inventory.work():
        assert before.plans == held
    assert len(inventory.snapshot().plans) == MANY - 1
    assert before.plans == held


@pytest.mark.parametrize(
    ("done", "left"), [(MANY // 2, MANY), (5 * MANY // 2, MANY // 2 + 5)], ids=["taking", "making"]
)
def test_work_that_broke_off_goes_on(done: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inventory, objects = Inventory(), many()
    inventory.take_all(objects)
    for _ in zip(range(done), inventory.work(), strict=False):
        pass
    looks = Looks(monkeypatch)
    for _ in inventory.work():
        pass
    assert len(inventory.snapshot().plans) == MANY
    assert len(looks.take()) <= left


def test_only_what_is_wanted_is_made() -> None:
    snapshot = Inventory(Wanted(plans=False)).build(many())
    assert (len(snapshot.plans), len(snapshot.judgements)) == (0, MANY)
