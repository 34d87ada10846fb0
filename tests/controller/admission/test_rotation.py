"""Rotation against an API server that answers as told, under a clock that the test moves."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta
from typing import Any

import pytest

from connectors.kube.resources import SECRETS, VALIDATING_WEBHOOK_CONFIGURATIONS
from controller.admission.certificates import data_of, held
from controller.admission.rotation import CONFIGURATION, SECRET
from tests.controller.admission.rotations import (
    EMPTY,
    LEFT,
    LOOK,
    NAMES,
    WEBHOOKS,
    Rotations,
    refuse,
)
from tests.controller.world import SYSTEM


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
    assert held(rotations.material, rotations.world.clock.now()).names == NAMES


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
    await rotations.world.advance(6 * LOOK)
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
    await rotations.world.advance(62)
    assert rotations.serves(replica)
    assert rotations.bundles() == [rotations.material.bundle] * 2


async def test_after_an_outage_in_which_everything_ended_it_begins_anew(rotations: Rotations) -> None:
    replica = await rotations.start()
    await rotations.world.settled()
    before = rotations.material
    rotations.world.clock.step(timedelta(days=1000).total_seconds())
    await rotations.world.advance(LOOK)
    after = rotations.material
    assert before.leaf not in after.bundle
    assert rotations.serves(replica)
    assert rotations.bundles() == [after.bundle] * 2


async def test_two_configurations_do_not_undo_each_other(rotations: Rotations) -> None:
    await rotations.start(NAMES)
    await rotations.start(frozenset({"other"}))
    await rotations.world.settled()
    assert held(rotations.material, rotations.world.clock.now()).names == NAMES | {"other"}
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
    await world.advance(3 * LOOK)
    assert caplog.text.count("admission is off") == 1
    assert "apply deploy/webhook.yaml" in caplog.text
    assert bare.serves(replica)
    world.server.put(WEBHOOKS)
    await world.advance(2)
    assert bare.bundles() == [bare.material.bundle] * 2


async def test_what_is_good_is_served_and_published_while_nothing_can_be_renewed(
    rotations: Rotations, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = rotations.world
    await rotations.start()
    await world.settled()
    await rotations.stop()
    before = rotations.material
    world.clock.step(LEFT.total_seconds())
    refuse(world, "/secrets/", monkeypatch)
    world.server.put(WEBHOOKS)
    replica = await rotations.start()
    await world.advance(30)
    assert replica.rotation.missing() is None
    assert replica.serving.ready
    assert data_of(rotations.material) == data_of(before)
    assert rotations.serves(replica)
    assert rotations.bundles() == [before.bundle] * 2
    assert caplog.text.count("not by you") == 1


async def test_what_cannot_be_published_keeps_nobody_from_renewing(
    rotations: Rotations, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = rotations.world
    replica = await rotations.start()
    await world.settled()
    before = rotations.material
    refuse(world, "/validatingwebhookconfigurations/", monkeypatch)
    world.clock.step(LEFT.total_seconds())
    world.server.put(WEBHOOKS)
    await world.advance(30)
    assert rotations.material.leaf != before.leaf
    assert rotations.serves(replica)
    assert caplog.text.count("not by you") == 1


async def test_what_ended_is_neither_served_nor_published_while_nothing_can_be_renewed(
    rotations: Rotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = rotations.world
    await rotations.start()
    await world.settled()
    await rotations.stop()
    world.clock.step(timedelta(days=1000).total_seconds())
    refuse(world, "/secrets/", monkeypatch)
    world.server.put(WEBHOOKS)
    replica = await rotations.start()
    await world.advance(30)
    assert not replica.serving.ready
    assert rotations.bundles() == [b"", b""]


async def test_t24_a_key_in_the_authorities_is_never_published(rotations: Rotations) -> None:
    await rotations.start()
    await rotations.world.settled()
    made = rotations.material
    stored = rotations.world.server.get(SECRETS, SECRET, SYSTEM)
    assert stored is not None
    assert made.leaf_key is not None
    key = made.leaf_key.reveal()
    mixed = base64.b64encode(key + made.bundle + key).decode()
    rotations.world.server.put({**stored, "data": {**stored["data"], "ca.crt": mixed}})
    rotations.world.server.put(WEBHOOKS)
    await rotations.world.advance(10)
    assert b"PRIVATE" in rotations.material.bundle
    assert rotations.bundles() == [made.bundle] * 2


async def test_what_else_the_secret_holds_survives_a_renewal(rotations: Rotations) -> None:
    rotations.world.server.put({**EMPTY, "data": {"mine": "YQ=="}})
    await rotations.start()
    await rotations.world.settled()
    before = rotations.material
    rotations.world.clock.step(LEFT.total_seconds())
    await rotations.world.advance(LOOK)
    assert rotations.material.leaf != before.leaf
    stored = rotations.world.server.get(SECRETS, SECRET, SYSTEM)
    assert stored is not None
    assert stored["data"]["mine"] == "YQ=="


async def test_names_in_any_form_are_written_once(rotations: Rotations) -> None:
    await rotations.start(frozenset({"2001:db8:0:0:0:0:0:1", "::ffff:192.0.2.1"}))
    await rotations.world.advance(60)
    assert rotations.writes() == 1


@pytest.mark.parametrize("text", ["<html>", "[]", '{"metadata":[]}'])
async def test_an_answer_that_is_no_object_is_a_look_that_failed(
    text: str, rotations: Rotations, caplog: pytest.LogCaptureFixture
) -> None:
    rotations.world.server.fail_next(6, 200, text=text, methods={"GET"})
    replica = await rotations.start()
    await rotations.world.advance(60)
    assert rotations.serves(replica)
    assert caplog.text.count("is no object") == 1


async def test_what_was_told_is_told_again_after_a_recovery(
    rotations: Rotations, caplog: pytest.LogCaptureFixture
) -> None:
    world = rotations.world
    await rotations.start()
    await world.settled()
    for told in (1, 2):
        world.server.remove(VALIDATING_WEBHOOK_CONFIGURATIONS, CONFIGURATION)
        await world.advance(3 * LOOK)
        assert caplog.text.count("admission is off") == told
        world.server.put(WEBHOOKS)
        await world.advance(5)
    for told in (1, 2):
        world.server.remove(SECRETS, SECRET, SYSTEM)
        await world.advance(3 * LOOK)
        assert caplog.text.count("not found in namespace") == told
        world.server.put(EMPTY)
        await world.advance(5)


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
    key = material.leaf_key
    assert key.reveal().decode().splitlines()[1] not in caplog.text
    assert base64.b64encode(key.reveal()).decode()[:60] not in caplog.text
    assert "mycanary" not in caplog.text
    assert "bXljYW5hcnk" not in caplog.text
    assert "PRIVATE" not in caplog.text
