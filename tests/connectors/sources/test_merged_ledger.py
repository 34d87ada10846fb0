from __future__ import annotations

from connectors.objects.connector import Connector
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.secret import Secret
from connectors.sources.manifests import Manifest, read_manifests
from connectors.sources.merged import Ledger
from connectors.sources.place import Identity

A = Identity("Connector", "default", "a")


def read_connector(address: str = "https://h", metadata: str = "") -> dict[Identity, Manifest]:
    text = f"""
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: {{name: a, {metadata}}}
spec: {{address: "{address}"}}
"""
    return {entry.identity: entry for entry in read_manifests(text.encode()).entries}


def settled(ledger: Ledger, manifests: dict[Identity, Manifest]) -> Connector:
    ((identity, manifest),) = manifests.items()
    found = ledger.settle(identity, manifest)
    value = ledger.value(identity)
    assert found is not None
    assert found.value is value
    assert (found.content, found.place) == (manifest.content, manifest.place)
    assert isinstance(value, Connector)
    return value


def test_metadata_is_filled_in() -> None:
    found = settled(Ledger(lambda: "now"), read_connector()).metadata
    assert (found.namespace, found.resource_version, found.generation) == ("default", "1", 1)
    assert found.creation_timestamp == "now"
    assert found.uid


def test_what_did_not_change_stays_the_same_instance() -> None:
    ledger = Ledger(lambda: "now")
    assert settled(ledger, read_connector()) is settled(ledger, read_connector())


def test_a_change_moves_version_and_generation_and_nothing_else() -> None:
    clock = iter(["first", "later"])
    ledger = Ledger(lambda: next(clock))
    before, after = settled(ledger, read_connector()).metadata, settled(ledger, read_connector("https://i")).metadata
    assert (after.uid, after.creation_timestamp) == (before.uid, "first")
    assert (after.resource_version, after.generation) == ("2", 2)


def test_an_object_that_was_gone_is_another_one() -> None:
    ledger = Ledger(lambda: "now")
    before = settled(ledger, read_connector())
    assert ledger.settle(A, None) is None
    assert ledger.value(A) is None
    assert settled(ledger, read_connector()).metadata.uid != before.metadata.uid


def test_t13_a_copied_uid_is_not_used() -> None:
    found = settled(Ledger(lambda: "now"), read_connector(metadata="uid: copied, creationTimestamp: then")).metadata
    assert found.uid != "copied"
    assert found.creation_timestamp == "then"


def test_secrets_and_flags() -> None:
    text = b"""
{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: connectors-config}}
"""
    manifests = {entry.identity: entry for entry in read_manifests(text).entries}
    ledger = Ledger(lambda: "now")
    for identity, manifest in manifests.items():
        ledger.settle(identity, manifest)
    values = [ledger.value(identity) for identity in manifests]
    assert values[1] == FeatureFlags()
    assert isinstance(values[0], Secret)
    assert values[0].metadata.namespace == "default"
    assert values[0].metadata.uid
