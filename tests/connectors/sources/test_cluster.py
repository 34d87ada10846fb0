from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from connectors.judgement import Judgement
from connectors.kube.resources import CONFIG_MAPS, CONNECTOR_CLASSES, CONNECTORS, SECRETS
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import ConditionReason, Reason
from connectors.sources.cluster import SETTLE
from connectors.trust import LABEL
from tests.connectors.sources.following import (
    AUTH,
    KEY,
    SYSTEM,
    Follow,
    a_class,
    a_connector,
    a_secret,
    flags,
)
from tests.peers.fake_api_server import FakeApiServer


def injected(judgement: Judgement) -> bytes:
    return base64.b64decode(judgement.credential.headers[0][1].reveal().removeprefix(b"Basic "))


async def test_an_empty_cluster_is_ready_too(follow: Follow) -> None:
    followed = follow()
    snapshot = await followed.until(lambda _: True)
    assert not snapshot.judgements
    assert followed.source.missing() is None
    assert list(followed.source.details()) == []


async def test_everything_that_counts_arrives_in_the_first_snapshot(server: FakeApiServer, follow: Follow) -> None:
    for manifest in (a_connector(auth=AUTH), a_class(), a_secret(), flags(enable_custom_ca_certs="true")):
        server.put(manifest)
    followed = follow()
    snapshot = await followed.until(lambda _: True)
    assert snapshot.generation == 1
    assert injected(snapshot.judgements[KEY]) == b"u:one"
    assert snapshot.flags.enable_custom_ca_certs
    assert [made.plans[KEY].refusal for made in followed.snapshots] == [None]


async def test_changes_arrive(server: FakeApiServer, follow: Follow) -> None:
    followed = follow()
    server.put(a_connector(auth=AUTH))
    refusal = await followed.refusal(lambda _: True)
    assert refusal is not None
    assert refusal.reason is Reason.CONNECTOR_INVALID
    server.put(a_class())
    problem = (await followed.judgement(lambda now: now.connector_class is not None)).secret_problem
    assert problem is not None
    assert problem.reason is ConditionReason.SECRET_NOT_FOUND
    server.put(a_secret())
    assert injected(await followed.judgement(lambda now: now.secret is not None)) == b"u:one"
    server.put(a_secret(password=b"two"))
    await followed.judgement(lambda now: injected(now) == b"u:two")
    server.put(a_connector(auth=AUTH, address="https://other.example"))
    await followed.judgement(lambda now: str(now.addresses[""]) == "https://other.example")
    server.remove(SECRETS, "login", "team")
    await followed.judgement(lambda now: now.secret is None)
    server.remove(CONNECTOR_CLASSES, "demo")
    await followed.judgement(lambda now: now.connector_class is None)
    server.remove(CONNECTORS, "tool", "team")
    await followed.until(lambda now: not now.judgements)
    assert {KEY, "demo"} <= set(followed.told)


async def test_a_new_connector_waits_for_its_secret_instead_of_missing_it(
    server: FakeApiServer, follow: Follow
) -> None:
    server.put(a_class())
    server.put(a_secret())
    followed = follow()
    await followed.until(lambda _: True)
    server.put(a_connector(auth=AUTH))
    await followed.refusal(lambda now: now is None)
    problems = [made.judgements[KEY].secret_problem for made in followed.snapshots if KEY in made.judgements]
    assert problems == [None]


async def test_a_secret_that_cannot_be_read_holds_up_nobody_else(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_class())
    followed = follow()
    await followed.until(lambda _: True)
    server.forbidden.add("/api/v1/namespaces/team/secrets/login")
    server.put(a_connector(auth=AUTH))
    server.put(a_connector("free"))
    snapshot = await followed.until(lambda now: len(now.judgements) == 2)
    problem = snapshot.judgements[KEY].secret_problem
    assert problem is not None
    assert problem.reason is ConditionReason.SECRET_PENDING
    assert snapshot.plans[ConnectorKey("team", "free")].refusal is None
    server.forbidden.clear()
    await followed.judgement(lambda now: now.secret_problem is not None and now.unread == "")


async def test_a_write_to_a_status_makes_no_snapshot_and_is_told(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_connector())
    server.put(a_class())
    followed = follow()
    before = await followed.until(lambda _: True)
    followed.told.clear()
    written = server.put({**a_connector(), "status": {"observedGeneration": 1}})
    server.put({**a_class(), "status": {"observedGeneration": 1}})
    await followed.until_told({KEY, "demo"})
    await asyncio.sleep(3 * SETTLE)  # nothing tells that nothing happens
    assert followed.store.current is before
    server.put(flags())
    await followed.until(lambda now: now is not before)
    assert followed.store.current.judgements[KEY] is before.judgements[KEY]
    held = followed.source.connector(KEY)
    assert held is not None
    assert held.status is not None
    assert held.status.observed_generation == 1
    assert held.resource_version == written["metadata"]["resourceVersion"]
    held_class = followed.source.connector_class("demo")
    assert held_class is not None
    assert held_class.status is not None


async def test_our_own_write_is_known_at_once(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_connector())
    server.put(a_class())
    followed = follow()
    await followed.until(lambda _: True)
    server.hang_watches()
    for key, manifest in ((KEY, a_connector()), ("demo", a_class())):
        stored = server.put({**manifest, "status": {"observedGeneration": 7}})
        followed.source.wrote(key, json.dumps(stored).encode())
    held, held_class = followed.source.connector(KEY), followed.source.connector_class("demo")
    assert held is not None
    assert held_class is not None
    assert [item.status and item.status.observed_generation for item in (held, held_class)] == [7, 7]
    server.release_watches()


async def test_created_anew_under_the_same_name(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_connector())
    server.put(a_class())
    followed = follow()
    first = (await followed.judgement(lambda _: True)).connector.metadata.uid
    server.remove(CONNECTORS, "tool", "team")
    server.put(a_connector())
    await followed.judgement(lambda now: now.connector.metadata.uid != first)


async def test_a_malformed_object_harms_no_other(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_class())
    server.put(a_connector(address=5))
    server.put(a_connector("good"))
    followed = follow()
    snapshot = await followed.until(lambda now: len(now.judgements) == 2)
    refusal = snapshot.plans[KEY].refusal
    assert refusal is not None
    assert "spec.address" in refusal.message
    assert snapshot.plans[ConnectorKey("team", "good")].refusal is None
    server.put(a_class(auth=5))
    await followed.until(lambda now: bool(now.class_violations["demo"]))


async def test_flags_that_are_wrong_keep_the_last_good_ones(server: FakeApiServer, follow: Follow) -> None:
    server.put(flags(enable_custom_ca_certs="true"))
    followed = follow()
    before = await followed.until(lambda now: now.flags.enable_custom_ca_certs)
    server.put(flags(enable_custom_ca_certs="maybe"))
    after = await followed.until(lambda now: now is not before)
    assert after.flags.enable_custom_ca_certs
    server.remove(CONFIG_MAPS, "connectors-config", SYSTEM)
    await followed.until(lambda now: not now.flags.enable_custom_ca_certs)


async def test_only_what_is_referred_to_or_labelled_is_held(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_class())
    server.put(a_connector(auth=AUTH))
    server.put(a_secret())
    labelled = a_secret("authority", SYSTEM)
    labelled["metadata"]["labels"] = {LABEL: "true"}
    server.put(labelled)
    for number in range(50):
        server.put(a_secret(f"other-{number}"))
    followed = follow()
    await followed.until(lambda _: True)
    fetched = [asked.path for asked in server.requests if asked.path.startswith("/api/v1/namespaces/team/secrets/")]
    assert fetched == ["/api/v1/namespaces/team/secrets/login"]
    held = {key.name for key in followed.store._inventory._secrets}
    assert held == {"login", "authority"}


async def test_tokens_of_secrets_where_they_are_asked_for(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_secret("builder", kind="kubernetes.io/service-account-token", password=b"abc"))
    without, with_them = follow(), follow(token_secrets=True)
    await without.until(lambda _: True)
    snapshot = await with_them.until(lambda _: True)
    assert snapshot.owner_of(b"abc") is not None
    assert without.store.current.owner_of(b"abc") is None


async def test_while_the_api_server_is_away_the_last_snapshot_serves_and_details_say_so(
    server: FakeApiServer, follow: Follow
) -> None:
    server.put(a_class())
    server.put(a_connector())
    followed = follow()
    before = await followed.until(lambda _: True)
    await server.watching(5)
    await server.stop()
    async with asyncio.timeout(5):
        while len(list(followed.source.details())) < 5:  # noqa: ASYNC110 - nothing tells that a connection is gone
            await asyncio.sleep(0.01)
    assert all("the last snapshot serves" in line for line in followed.source.details())
    assert followed.source.missing() is None
    assert followed.store.current is before
    server.put(a_connector(address="https://other.example"))
    await server.start()
    await followed.judgement(lambda now: str(now.addresses[""]) == "https://other.example")


async def test_what_is_missing_is_named(server: FakeApiServer, follow: Follow) -> None:
    server.absent.add("connectors")
    followed = follow()
    async with asyncio.timeout(5):
        while ": " not in (followed.source.missing() or ""):  # noqa: ASYNC110 - nothing tells that a list failed
            await asyncio.sleep(0.01)
    assert "the list of connectors" in (followed.source.missing() or "")
    server.absent.clear()
    await followed.until(lambda _: True)


@pytest.mark.parametrize("name", [".", "..", "a/b", "a?b", "%2e%2e", "A", ""])
async def test_t07_what_is_no_name_is_never_asked_of_the_api_server(
    name: str, server: FakeApiServer, follow: Follow
) -> None:
    server.put(a_class())
    server.put(a_connector(auth={"name": "basicAuth", "secretRef": {"name": name}}))
    followed = follow()
    refusal = await followed.refusal(lambda _: True)
    assert refusal is not None
    assert refusal.reason is Reason.CONNECTOR_INVALID
    system = f"/api/v1/namespaces/{SYSTEM}/"
    elsewhere = [asked.path for asked in server.requests if "/namespaces/" in asked.path and system not in asked.path]
    assert elsewhere == []


async def test_authorities_are_those_of_the_system_namespace(server: FakeApiServer, follow: Follow) -> None:
    for namespace in (SYSTEM, "team"):
        labelled = a_secret("authority", namespace)
        labelled["metadata"]["labels"] = {LABEL: "true"}
        server.put(labelled)
    server.put(a_secret("token", kind="kubernetes.io/service-account-token"))
    server.put(a_secret("other"))
    followed = follow(token_secrets=True)
    await followed.until(lambda _: True)
    held = set(followed.store._inventory._secrets)
    assert held == {(SYSTEM, "authority"), ("team", "token")}


async def test_t35_the_installations_own_addresses_are_in_the_first_snapshot(
    server: FakeApiServer, follow: Follow
) -> None:
    server.put(own_service("10.96.0.7"))
    server.put(a_class())
    followed = follow(keep_off=True)
    first = await followed.until(lambda _: True)
    assert first.own_addresses == {("10.96.0.7", 80)}
    server.put(own_service("10.96.0.8"))
    await followed.until(lambda now: now.own_addresses == {("10.96.0.8", 80)})
    # What says nothing new of it makes no snapshot.
    made = len(followed.snapshots)
    server.put(own_service("10.96.0.8") | {"status": {"loadBalancer": {}}})
    server.put(a_connector())
    await followed.until(lambda now: KEY in now.plans)
    assert len(followed.snapshots) == made + 1


async def test_t35_without_the_right_to_know_them_everything_else_serves(
    server: FakeApiServer, follow: Follow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("connectors.sources.cluster.OWN_PATIENCE", 0.2)
    server.forbidden.add("/apis/discovery.k8s.io")
    server.put(own_service("10.96.0.7"))
    followed = follow(keep_off=True)
    first = await followed.until(lambda _: True)
    assert first.own_addresses == {("10.96.0.7", 80)}
    assert caplog.text.count("give this program's Role list and watch on services, endpoints and endpointslices") == 1


def own_service(ip: str) -> dict[str, Any]:
    metadata = {"name": "connectors-proxy-service", "namespace": SYSTEM}
    spec = {"clusterIP": ip, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
