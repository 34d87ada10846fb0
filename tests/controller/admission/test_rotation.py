"""Rotation against an API server that answers as told, under a clock that the test moves."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.client import KubeClient
from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS
from connectors.model.secret_value import SecretValue
from controller.admission.certificates import Material, fingerprints, held, material_of
from controller.admission.metrics import AdmissionMetrics
from controller.admission.renewal import Times
from controller.admission.rotation import CONFIGURATION, SECRET, Rotation, Scope
from controller.admission.serving import Serving
from tests.controller.world import SYSTEM, World

NAMES = frozenset({"svc.ns.svc", "127.0.0.1"})
DAY = timedelta(days=1)
TIMES = Times(leaf_life=9 * DAY, authority_life=90 * DAY, overlap=timedelta(hours=1))
EMPTY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": SECRET, "namespace": SYSTEM, "labels": {"a": "b"}},
    "type": "Opaque",
}
WEBHOOKS = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": CONFIGURATION},
    "webhooks": [{"name": "a", "clientConfig": {"service": {"name": "s"}}}, {"name": "b", "clientConfig": {}}],
}


@dataclass
class Replica:
    rotation: Rotation
    serving: Serving
    task: asyncio.Task[None]


class Rotations:
    """Replicas that keep one Secret."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.replicas: list[Replica] = []
        self._clients: list[KubeClient] = []

    async def start(self, names: frozenset[str] = NAMES) -> Replica:
        client = self.world.client()
        await client.start()
        serving = Serving(AdmissionMetrics(CollectorRegistry()))
        rotation = Rotation(client, Scope(SYSTEM, names, TIMES), serving, self.world.clock)
        found = Replica(rotation, serving, asyncio.create_task(rotation.run()))
        self.replicas.append(found)
        self._clients.append(client)
        return found

    async def stop(self) -> None:
        for replica in self.replicas:
            replica.task.cancel()
        await asyncio.gather(*(replica.task for replica in self.replicas), return_exceptions=True)
        for client in self._clients:
            await client.close()

    @property
    def material(self) -> Material:
        stored = self.world.server.get(SECRETS, SECRET, SYSTEM)
        assert stored is not None
        return material_of({key: SecretValue(base64.b64decode(text)) for key, text in stored["data"].items()})

    def bundles(self) -> list[bytes]:
        found = self.world.server.get(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
        assert found is not None
        return [base64.b64decode(item["clientConfig"].get("caBundle", "")) for item in found["webhooks"]]

    def serves(self, replica: Replica) -> bool:
        """Whether it serves what the Secret holds."""
        pair = self.material.serving
        return pair is not None and not replica.serving.serve(pair)

    def writes(self) -> int:
        return len(self.world.writes("/secrets/"))


@pytest.fixture
async def bare(world: World) -> AsyncIterator[Rotations]:
    """Nothing of deploy/webhook.yaml is there."""
    found = Rotations(world)
    yield found
    await found.stop()


@pytest.fixture
def rotations(bare: Rotations) -> Rotations:
    bare.world.server.put(EMPTY)
    bare.world.server.put(WEBHOOKS)
    return bare


async def test_an_empty_secret_is_filled_served_and_published(rotations: Rotations) -> None:
    replica = await rotations.start()
    assert replica.rotation.missing() == "the webhook's certificate"
    await rotations.world.settled()
    assert replica.rotation.missing() is None
    assert rotations.serves(replica)
    assert rotations.bundles() == [rotations.material.bundle] * 2
    stored = rotations.world.server.get(SECRETS, SECRET, SYSTEM)
    assert stored is not None
    assert stored["metadata"]["labels"] == {"a": "b"}
    assert stored["type"] == "Opaque"
    leaf = held(rotations.material).leaf
    assert leaf is not None
    assert leaf.names == NAMES


async def test_of_replicas_that_race_one_writes_and_all_serve_it(rotations: Rotations) -> None:
    rotations.world.server.hold_gets()
    replicas = [await rotations.start() for _ in range(3)]
    await rotations.world.server.asked(lambda asked: asked.path.endswith(SECRET), 3)
    rotations.world.server.release_gets()
    await rotations.world.settled()
    answered = [asked for asked in rotations.world.server.requests if asked.method == "PUT" and SECRET in asked.path]
    assert len(answered) >= 2, "there was a race"
    assert all(rotations.serves(replica) for replica in replicas)
    stored = rotations.world.server.get(SECRETS, SECRET, SYSTEM)
    assert stored is not None
    assert stored["metadata"]["generation"] == 2 or rotations.bundles() == [rotations.material.bundle] * 2


async def test_with_nothing_to_do_nothing_is_written(rotations: Rotations) -> None:
    await rotations.start()
    await rotations.world.settled()
    before = rotations.world.writes()
    await rotations.world.advance(3600)
    assert rotations.world.writes() == before


@pytest.mark.parametrize("what", ["reset", "foreign"])
async def test_a_bundle_that_somebody_changes_is_put_back_within_seconds(what: str, rotations: Rotations) -> None:
    await rotations.start()
    await rotations.world.settled()
    client = {"service": {"name": "s"}} | ({"caBundle": "YQ=="} if what == "foreign" else {})
    webhooks = [{"name": "a", "clientConfig": client}, {"name": "c", "clientConfig": client}]
    rotations.world.server.put({**WEBHOOKS, "webhooks": webhooks})
    await rotations.world.advance(2)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_a_secret_that_somebody_empties_is_filled_again(rotations: Rotations) -> None:
    replica = await rotations.start()
    await rotations.world.settled()
    rotations.world.server.put(EMPTY)
    await rotations.world.settled()
    assert rotations.serves(replica)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_the_certificate_is_renewed_under_its_authority(rotations: Rotations) -> None:
    replica = await rotations.start()
    await rotations.world.settled()
    before = rotations.material
    rotations.world.clock.step(timedelta(days=6).total_seconds())
    await rotations.world.advance(700)
    after = rotations.material
    assert after.bundle == before.bundle
    assert after.leaf != before.leaf
    assert rotations.serves(replica)


async def test_a_new_authority_is_published_before_it_issues_and_the_old_goes_last(rotations: Rotations) -> None:
    replica = await rotations.start()
    await rotations.world.settled()
    old = rotations.material
    rotations.world.clock.step(timedelta(days=60).total_seconds())
    # The certificate ended meanwhile; that of the authority that is due comes first, at once.
    await rotations.world.advance(700)
    added = rotations.material
    assert added.bundle.endswith(old.bundle)
    assert len(fingerprints(added.bundle)) == 2
    assert rotations.bundles() == [added.bundle] * 2
    leaf = held(added).leaf
    assert leaf is not None
    assert leaf.issuer in fingerprints(old.bundle)
    await rotations.world.advance(3700)
    issued = rotations.material
    assert issued.bundle == added.bundle
    leaf = held(issued).leaf
    assert leaf is not None
    assert leaf.issuer not in fingerprints(old.bundle)
    assert rotations.serves(replica)
    await rotations.world.advance(3700)
    assert len(fingerprints(rotations.material.bundle)) == 1
    assert rotations.bundles() == [rotations.material.bundle] * 2
    assert rotations.material.leaf == issued.leaf


async def test_after_an_outage_in_which_everything_ended_it_begins_anew(rotations: Rotations) -> None:
    replica = await rotations.start()
    await rotations.world.settled()
    before = rotations.material
    rotations.world.clock.step(timedelta(days=1000).total_seconds())
    await rotations.world.advance(700)
    after = rotations.material
    assert not fingerprints(after.bundle) & fingerprints(before.bundle)
    assert rotations.serves(replica)
    assert rotations.bundles() == [after.bundle] * 2


async def test_two_configurations_do_not_undo_each_other(rotations: Rotations) -> None:
    await rotations.start(NAMES)
    await rotations.start(frozenset({"other"}))
    await rotations.world.settled()
    leaf = held(rotations.material).leaf
    assert leaf is not None
    assert leaf.names == NAMES | {"other"}
    assert rotations.writes() <= 3


async def test_no_secret(bare: Rotations, caplog: pytest.LogCaptureFixture) -> None:
    world = bare.world
    replica = await bare.start()
    await world.settled()
    missing = replica.rotation.missing()
    assert missing is not None
    assert f'secrets "{SECRET}" not found in namespace {SYSTEM}; apply deploy/webhook.yaml' in missing
    world.server.put(EMPTY)
    await world.settled()
    assert replica.rotation.missing() is None
    assert caplog.text.count(f'secrets "{SECRET}" not found') == 1


async def test_no_configuration_is_said_once(bare: Rotations, caplog: pytest.LogCaptureFixture) -> None:
    world = bare.world
    world.server.put(EMPTY)
    replica = await bare.start()
    await world.settled()
    await world.advance(2000)
    assert caplog.text.count("admission is off") == 1
    assert "apply deploy/webhook.yaml" in caplog.text
    assert bare.serves(replica)
    world.server.put(WEBHOOKS)
    await world.advance(2)
    assert bare.bundles() == [bare.material.bundle] * 2


@pytest.mark.parametrize("methods", [{"GET"}, {"PUT"}])
async def test_an_api_server_that_fails_is_asked_again(methods: set[str], rotations: Rotations) -> None:
    rotations.world.server.fail_next(8, 500, methods=methods)
    replica = await rotations.start()
    await rotations.world.advance(60)
    assert rotations.serves(replica)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_somebody_who_is_always_quicker(rotations: Rotations) -> None:
    rotations.world.server.conflict_next(5)
    replica = await rotations.start()
    await rotations.world.advance(30)
    assert rotations.serves(replica)


async def test_a_write_whose_answer_is_lost(rotations: Rotations) -> None:
    rotations.world.server.lose_answers(1)
    replica = await rotations.start()
    await rotations.world.advance(30)
    assert rotations.serves(replica)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_t14_no_log_line_holds_a_key(rotations: Rotations, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        rotations.world.server.fail_next(2, 500, methods={"PUT"})
        await rotations.start()
        await rotations.world.advance(20)
        broken: dict[str, Any] = {**EMPTY, "data": {"tls.crt": "YQ==", "tls.key": "bXljYW5hcnk="}}
        rotations.world.server.put(broken)
        await rotations.world.advance(20)
    material = rotations.material
    assert material.leaf_key is not None
    assert material.authority_key is not None
    for key in (material.leaf_key, material.authority_key):
        body = key.reveal().decode().splitlines()[1]
        assert body not in caplog.text
        assert base64.b64encode(key.reveal()).decode()[:60] not in caplog.text
    assert "mycanary" not in caplog.text
    assert "bXljYW5hcnk" not in caplog.text
    assert "PRIVATE" not in caplog.text
