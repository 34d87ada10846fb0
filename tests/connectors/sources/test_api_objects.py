from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from msgspec import Raw

from connectors.kube import nesting
from connectors.objects.ceilings import CEILING_ANNOTATIONS
from connectors.objects.conditions import ConditionType
from connectors.objects.connector import UPSTREAM_PROXY_ANNOTATION
from connectors.objects.connector_class import RESOLVER_ANNOTATION
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.violation import Severity
from connectors.sources.api_objects import (
    MAX_CLASS,
    MAX_SPEC,
    newer,
    read_class,
    read_connector,
    read_flags,
    read_secret,
)
from connectors.sources.secrets import LAST_APPLIED

CONDITION = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T12:00:00Z"}


def manifest(kind: str = "Connector", **parts: Any) -> dict[str, Any]:
    metadata = {
        "name": "tool", "namespace": "team", "uid": "u1", "resourceVersion": "7", "generation": 2,
        "managedFields": [{"manager": "kubectl"}], "annotations": {LAST_APPLIED: "{}", "a": "b"},
    }  # fmt: skip
    spec: dict[str, Any] = {"proxy": {}}
    if kind == "Connector":
        spec = {"connectorClassName": "git", "address": "https://tool.example"}
    return {
        "apiVersion": "connectors.alauda.io/v1alpha1",
        "kind": kind,
        "metadata": metadata | parts.pop("metadata", {}),
        "spec": spec,
    } | parts


def raw(value: dict[str, Any]) -> Raw:
    return Raw(json.dumps(value).encode())


def test_a_connector_with_its_status() -> None:
    held = read_connector(raw(manifest(status={"conditions": [CONDITION], "observedGeneration": 2})))
    assert held.item.key == ("team", "tool")
    assert held.item.spec.address == "https://tool.example"
    assert (held.item.metadata.annotations, held.item.metadata.labels) == ({}, {})
    assert (held.resource_version, held.deleting, held.malformed) == ("7", False, None)
    assert held.status is not None
    ready = held.status.condition(ConditionType.READY)
    assert ready is not None
    assert ready.status == "True"


def test_one_that_is_being_deleted() -> None:
    gone = {"deletionTimestamp": "2026-11-23T12:00:00Z"}
    assert read_connector(raw(manifest(metadata=gone))).deleting
    assert read_class(raw(manifest("ConnectorClass", metadata=gone))).deleting


@pytest.mark.parametrize(
    "status",
    [None, {}, {"conditions": [{"type": "Invented", "status": "True"}]}, {"conditions": "x"}, "x", {"proxy": {}}],
)
def test_a_status_that_cannot_be_read_counts_as_absent(status: Any) -> None:
    held = read_connector(raw(manifest(status=status)))
    assert held.status is None or not held.status.conditions
    assert held.malformed is None


@pytest.mark.parametrize(
    ("spec", "path", "word"),
    [
        ({"address": 5}, "spec.address", "a string"),
        ({"address": "https://a", "params": {}}, "spec.params", "a list"),
        ({"auth": {"secretRef": "login"}}, "spec.auth.secretRef", "a mapping"),
        ([], "spec", "a mapping"),
        ("x", "spec", "a mapping"),
    ],
)
def test_a_spec_of_another_shape_keeps_its_metadata_and_names_the_field(spec: Any, path: str, word: str) -> None:
    held = read_connector(raw(manifest(spec=spec)))
    assert held.item.key == ("team", "tool")
    assert held.item.spec.address == ""
    assert held.malformed is not None
    assert held.malformed.path == path
    assert word in held.malformed.message


def test_nulls_are_nothing() -> None:
    held = read_connector(raw(manifest(spec={"address": "https://a", "params": None, "auth": {"name": None}})))
    assert held.malformed is None
    assert held.item.spec.address == "https://a"


@pytest.mark.parametrize("name", CEILING_ANNOTATIONS)
def test_annotations_that_count_are_kept(name: str) -> None:
    annotations = {"annotations": {name: "1", "a": "b"}}
    assert read_connector(raw(manifest(metadata=annotations))).item.metadata.annotations == {name: "1"}
    assert read_class(raw(manifest("ConnectorClass", metadata=annotations))).item.metadata.annotations == {name: "1"}


def test_a_class_and_what_is_wrong_with_it() -> None:
    by_path = {RESOLVER_ANNOTATION: "path", UPSTREAM_PROXY_ANNOTATION: "lab"}
    held = read_class(raw(manifest("ConnectorClass", metadata={"annotations": by_path | {"a": "b"}})))
    assert held.item.spec.proxy is not None
    assert held.item.metadata.annotations == by_path
    malformed = read_class(raw(manifest("ConnectorClass", spec={"auth": {"types": 1}}))).malformed
    assert malformed is not None
    assert malformed.path == "spec.auth.types"


def test_a_write_to_the_status_keeps_the_same_object() -> None:
    before = read_connector(raw(manifest()))
    after = read_connector(raw(manifest(metadata={"resourceVersion": "8"}, status={"conditions": [CONDITION]})))
    kept = newer(before, after)
    assert kept.item is before.item
    assert kept.resource_version == "8"
    assert kept.status == after.status


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"generation": 3}, "spec": {"address": "https://other"}},
        {"metadata": {"uid": "u2"}},
        {"spec": {"address": 5}},
    ],
)
def test_any_other_change_is_a_new_object(change: dict[str, Any]) -> None:
    before, after = read_connector(raw(manifest())), read_connector(raw(manifest(**change)))
    assert newer(before, after) is after


def test_classes_likewise() -> None:
    before = read_class(raw(manifest("ConnectorClass")))
    status = read_class(raw(manifest("ConnectorClass", metadata={"resourceVersion": "8"})))
    assert newer(before, status).item is before.item
    other = read_class(raw(manifest("ConnectorClass", spec={})))
    assert newer(before, other) is other


def test_t14_a_secret_keeps_no_copy_of_its_manifest() -> None:
    value = base64.b64encode(b"canary").decode()
    last = json.dumps({"data": {"password": value}})
    secret = read_secret(
        raw(
            {
                "metadata": {"name": "login", "namespace": "team", "annotations": {LAST_APPLIED: last}},
                "type": "kubernetes.io/basic-auth",
                "data": {"password": value},
            }
        )
    )
    assert secret is not None
    assert secret.data["password"].reveal() == b"canary"
    assert value not in repr(secret)
    assert "canary" not in repr(secret)


def test_a_secret_without_data_and_one_that_is_none() -> None:
    assert read_secret(raw({"metadata": {"name": "a"}, "data": None})) is not None
    assert read_secret(raw({"metadata": {"name": "a"}, "data": {"k": "%"}})) is None


def test_flags() -> None:
    flags, violations = read_flags(raw({"data": {"enable-custom-ca-certs": "true", "enable-else": "true"}}))
    assert flags == FeatureFlags(enable_custom_ca_certs=True)
    assert [violation.severity for violation in violations] == [Severity.WARNING]
    assert read_flags(raw({"data": {"enable-custom-ca-certs": "yes"}}))[0] is None


@pytest.mark.parametrize("levels", [100, 900, 1_500, 9_900])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_a_value_of_any_depth_is_read_and_compared(levels: int, opening: str, closing: str) -> None:
    whole = json.dumps(manifest(spec={"params": [{"name": "a", "value": "DEEP"}]}))
    text = Raw(whole.replace('"DEEP"', opening * levels + "1" + closing * levels).encode())
    held, again = read_connector(text), read_connector(text)
    assert held.item.key == ("team", "tool")
    assert newer(held, again).item is held.item
    assert read_class(text).item.metadata.name == "tool"


@pytest.mark.parametrize("levels", [300, 500, 5_000])
def test_what_is_kept_of_a_deep_spec_does_not_depend_on_the_python(levels: int) -> None:
    """It is cut where it lies, and has the size that it came with: a decoder may follow it or not."""
    params = "[" * levels + "]" * levels + " " * MAX_SPEC
    text = json.dumps(manifest(spec={"params": "DEEP"})).replace('"DEEP"', params)
    held = read_connector(Raw(text.encode()))
    assert held.malformed is not None
    size = len('{"params": }') + len(params)
    assert f"has {size} bytes" in held.malformed.message


def test_a_spec_that_is_far_too_large_is_not_held() -> None:
    held = read_connector(raw(manifest(spec={"address": "x" * MAX_SPEC})))
    assert held.item.spec.address == ""
    assert held.malformed is not None
    assert "at most 65536" in held.malformed.message


def test_a_class_has_room_for_what_etcd_takes() -> None:
    assert read_class(raw(manifest("ConnectorClass", spec={"x": "y" * (MAX_CLASS - 20)}))).malformed is None
    malformed = read_class(raw(manifest("ConnectorClass", spec={"x": "y" * MAX_CLASS}))).malformed
    assert malformed is not None
    assert f"at most {MAX_CLASS}" in malformed.message


@pytest.mark.parametrize("kind", ["Connector", "ConnectorClass"])
@pytest.mark.parametrize("tree", [b"[" * 1_500_000, b"[" * 2_000 + b"[]," * 1_000_000 + b"1"], ids=["deep", "broad"])
def test_a_spec_is_measured_before_it_is_cut(kind: str, tree: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[int] = []
    shallow = nesting.shallow

    def watched(part: Raw) -> bytes:
        cut.append(len(bytes(part)))
        return shallow(part)

    monkeypatch.setattr(nesting, "shallow", watched)
    closed = tree + b"]" * (tree.count(b"[") - tree.count(b"]"))
    text = Raw(json.dumps(manifest(kind, spec={"params": "DEEP"})).encode().replace(b'"DEEP"', closed))
    begun = time.thread_time()
    held = read_connector(text) if kind == "Connector" else read_class(text)
    assert time.thread_time() - begun < 0.2, "CPU seconds, which nobody else on the machine can take"
    assert held.malformed is not None
    size = len(b'{"params": }') + len(closed)
    assert f"has {size} bytes" in held.malformed.message
    assert max(cut) < 1_000, "only metadata and status are cut"
    assert held.resource_version == "7"


def test_metadata_and_status_of_any_depth_are_read() -> None:
    deep = "[" * 2_000 + "]" * 2_000
    value = manifest(metadata={"managedFields": "DEEP"}, status={"conditions": [CONDITION], "x": "DEEP"})
    held = read_connector(Raw(json.dumps(value).replace('"DEEP"', deep).encode()))
    assert (held.item.key, held.resource_version, held.malformed) == (("team", "tool"), "7", None)
    assert held.item.spec.address == "https://tool.example"
    assert held.status is not None
    assert held.status.condition(ConditionType.READY) is not None
