from __future__ import annotations

import copy
from typing import Any

import pytest

from connectors.objects.names import object_name_problem
from controller.service import (
    CLASS_LABEL,
    Change,
    Create,
    ServiceKey,
    class_label,
    is_named_by,
    is_of_former_life,
    is_owned,
    required_action,
    service_key,
)
from tests.controller.services_of import BACKEND, UID, a_connector, foreign, held, manifest_for, own
from tests.peers.api_objects import merged

CONNECTOR = a_connector()
REFERENCE = {
    "apiVersion": "connectors.alauda.io/v1alpha1",
    "kind": "Connector",
    "name": "repo",
    "uid": UID,
    "controller": True,
}


def test_a_new_service() -> None:
    action = required_action(CONNECTOR, None, BACKEND)
    assert isinstance(action, Create)
    assert action.key == service_key(CONNECTOR) == ServiceKey("team", "c-repo")
    assert action.body == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "c-repo",
            "namespace": "team",
            "labels": {
                "connectors.alauda.io/connectorclass": "git",
                "app.kubernetes.io/managed-by": "connectors-controller-manager",
            },
            "ownerReferences": [REFERENCE],
        },
        "spec": {
            "type": "ExternalName",
            "externalName": BACKEND,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    manifest = copy.deepcopy(manifest_for(CONNECTOR))
    *parents, last = path.split("/")
    place = manifest
    for parent in parents:
        place = place[parent]
    place[last] = value
    return manifest


OTHER_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b", "blockOwnerDeletion": True}


@pytest.mark.parametrize(
    ("manifest", "patch"),
    [
        pytest.param(
            changed(
                "spec",
                {"type": "ClusterIP", "clusterIP": "10.0.0.1", "ports": manifest_for(CONNECTOR)["spec"]["ports"]},
            ),
            {"spec": {"type": "ExternalName", "externalName": BACKEND, "clusterIP": None, "clusterIPs": None}},
            id="type",
        ),
        pytest.param(changed("spec/externalName", "evil.example"), {"spec": {"externalName": BACKEND}}, id="target"),
        pytest.param(
            changed("spec/ports", [{"name": "http", "port": 81, "protocol": "TCP"}]),
            {"spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}},
            id="port",
        ),
        pytest.param(
            changed("spec/ports", None),
            {"spec": {"ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}},
            id="no port",
        ),
        pytest.param(
            changed("metadata/labels", {CLASS_LABEL: "npm", "app.kubernetes.io/managed-by": "me", "mine": "1"}),
            {
                "metadata": {
                    "labels": {CLASS_LABEL: "git", "app.kubernetes.io/managed-by": "connectors-controller-manager"}
                }
            },
            id="labels",
        ),
        pytest.param(
            changed("metadata/ownerReferences", [OTHER_OWNER, {**REFERENCE, "controller": False, "name": "other"}]),
            {"metadata": {"ownerReferences": [OTHER_OWNER, REFERENCE]}},
            id="the owner's fields; the other owner stays",
        ),
    ],
)
def test_drift(manifest: dict[str, Any], patch: dict[str, Any]) -> None:
    action = required_action(CONNECTOR, held(manifest), BACKEND)
    assert isinstance(action, Change)
    expected = {**patch, "metadata": {**patch.get("metadata", {}), "uid": "service-uid", "resourceVersion": "7"}}
    assert action.patch == expected
    assert required_action(CONNECTOR, held(merged(manifest, action.patch)), BACKEND) is None


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(manifest_for(CONNECTOR), id="as made"),
        pytest.param(changed("metadata/annotations", {"a": "b"}), id="annotations"),
        pytest.param(changed("spec/clusterIP", "10.0.0.1"), id="a leftover"),
        pytest.param(
            changed("spec/ports", [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 80}]),
            id="what the API server fills in",
        ),
        pytest.param(
            changed("metadata/ownerReferences", [{**REFERENCE, "blockOwnerDeletion": True}]), id="blockOwnerDeletion"
        ),
    ],
)
def test_what_is_not_ours_to_set_is_left_alone(manifest: dict[str, Any]) -> None:
    assert required_action(CONNECTOR, held(manifest), BACKEND) is None


ANOTHER = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other", "uid": "u-9"}


@pytest.mark.parametrize(
    ("owners", "owned"),
    [
        ([REFERENCE], True),
        ([ANOTHER, REFERENCE], True),
        ([{**REFERENCE, "controller": False}, ANOTHER], True),
        ([{**REFERENCE, "controller": False}, {**ANOTHER, "controller": True}], False),
        ([ANOTHER], False),
    ],
)
def test_t26_what_another_object_controls_is_not_ours(owners: list[dict[str, Any]], *, owned: bool) -> None:
    found = held(changed("metadata/ownerReferences", owners))
    assert is_owned(found, CONNECTOR) is owned
    assert is_named_by(found, CONNECTOR) is (len(owners) == 2 or owned)


def test_of_labels_only_ours_are_held() -> None:
    labels = {CLASS_LABEL: "git", "app.kubernetes.io/managed-by": "me"}
    assert held(changed("metadata/labels", {**labels, "mine": "x" * 63})).labels == labels


def test_t26_ownership_is_by_reference_never_by_label() -> None:
    assert is_owned(own(CONNECTOR), CONNECTOR)
    labelled = foreign(
        CONNECTOR, **{CLASS_LABEL: "git", "app.kubernetes.io/managed-by": "connectors-controller-manager"}
    )
    assert not is_owned(labelled, CONNECTOR)
    assert not is_of_former_life(labelled, CONNECTOR)
    assert not is_owned(own(a_connector(uid="")), a_connector(uid=""))


@pytest.mark.parametrize(
    ("owner", "former"),
    [
        ({**REFERENCE, "uid": "uid-0"}, True),
        ({**REFERENCE, "uid": "uid-0", "apiVersion": "connectors.alauda.io/v1beta1"}, True),
        (REFERENCE, False),
        ({**REFERENCE, "uid": "uid-0", "controller": False}, False),
        ({**REFERENCE, "uid": "uid-0", "name": "other"}, False),
        ({**REFERENCE, "uid": "uid-0", "kind": "Deployment"}, False),
        ({**REFERENCE, "uid": "uid-0", "apiVersion": "apps/v1"}, False),
    ],
)
def test_t26_former_life(owner: dict[str, Any], *, former: bool) -> None:
    assert is_of_former_life(held(changed("metadata/ownerReferences", [owner])), CONNECTOR) is former


@pytest.mark.parametrize(
    "name", ["git", "a.b", "a" * 63, "a" * 64, "a" * 54 + ".b" * 40, ("x" * 53 + "-") * 3 + "y", ".".join("abc" * 30)]
)
def test_a_class_name_becomes_a_label(name: str) -> None:
    label = class_label(name)
    assert len(label) <= 63
    assert object_name_problem(label) is None
    assert (label == name) is (len(name) <= 63)


def test_long_names_stay_apart() -> None:
    assert class_label("a" * 70) != class_label("a" * 71)
    assert class_label("a" * 70) == class_label("a" * 70)
