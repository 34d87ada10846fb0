"""The CRDs against the model, field by field, and what the schema promises to whoever applies published manifests."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import ConnectorSpec
from connectors.objects.connector_class import ConnectorClassSpec
from connectors.objects.metadata import GROUP
from tests.deploy.crds import CRDS, ROOT, crd_fields, definition, schema
from tests.deploy.model_fields import model_fields

MODELS: dict[str, tuple[type[Struct], type[Struct]]] = {
    "Connector": (ConnectorSpec, ConnectorStatus),
    "ConnectorClass": (ConnectorClassSpec, ConnectorClassStatus),
}
NOT_WRITTEN = {"name", "CACerts", "audience"}
"""Fields of a published address that this controller leaves out."""
COLUMNS = {
    "Connector": {
        "Class": ".spec.connectorClassName",
        "Address": ".spec.address",
        "Ready": '.status.conditions[?(@.type=="Ready")].status',
        "Reason": '.status.conditions[?(@.type=="Ready")].reason',
        "Proxy": ".status.proxy.httpAddress.url",
        "Age": ".metadata.creationTimestamp",
    },
    "ConnectorClass": {
        "Ready": '.status.conditions[?(@.type=="Ready")].status',
        "Reason": '.status.conditions[?(@.type=="Ready")].reason',
        "Age": ".metadata.creationTimestamp",
    },
}
REQUIRED = {
    "Connector": {
        "spec.addressExtensions[].name",
        "spec.addressExtensions[].value",
        "spec.params[].name",
        "spec.params[].value",
        "spec.auth.params[].name",
        "spec.auth.params[].value",
        "status.conditions[].type",
        "status.conditions[].status",
    },
    "ConnectorClass": {
        "spec.addressExtensions[].name",
        "spec.params[].name",
        "spec.auth.types[].name",
        "spec.auth.types[].params[].name",
        "spec.auth.types[].generator.headers[].name",
        "spec.auth.types[].generator.headers[].value",
        "spec.auth.types[].generator.query[].name",
        "spec.auth.types[].generator.query[].value",
        "spec.livenessProbe.http.path",
        "spec.livenessProbe.http.httpHeaders[].name",
        "spec.livenessProbe.http.httpHeaders[].value",
        "spec.authProbes[].authName",
        "spec.authProbes[].params[].name",
        "spec.authProbes[].probe.http.path",
        "spec.authProbes[].probe.http.httpHeaders[].name",
        "spec.authProbes[].probe.http.httpHeaders[].value",
        "spec.proxy.ref.kind",
        "spec.proxy.ref.name",
        "spec.api.ref.kind",
        "spec.api.ref.name",
        "spec.configurations[].params[].name",
        "status.conditions[].type",
        "status.conditions[].status",
    },
}
"""All of it: what is required by a schema cannot be explained by a condition, and published manifests must apply."""
MERGED_LISTS = {
    "spec.auth.types": ["name"],
    "spec.authProbes": ["authName"],
    "status.conditions": ["type"],
}
each_kind = pytest.mark.parametrize("kind", CRDS)


@each_kind
def test_fields_and_types_are_those_of_the_model(kind: str) -> None:
    spec, status = MODELS[kind]
    expected = model_fields(spec, "spec") | model_fields(status, "status")
    found = {path: field.type for path, field in crd_fields(kind).items() if path not in {"spec", "status"}}
    extra = {path for path in found.keys() - expected.keys() if not _only_published(path)}
    assert not extra, "the model would drop these"
    assert not expected.keys() - found.keys(), "the API server would drop these"
    wrong = {path: (found[path], kind) for path, kind in expected.items() if not _fits(found[path], kind)}
    assert not wrong


def _only_published(path: str) -> bool:
    """Fields of published objects that the model has no name for: properties' types, unused parts of a status."""
    address, _, last = path.rpartition(".")
    unused = address.startswith("status.") and address.endswith(("ddress",)) and last in NOT_WRITTEN
    return path == "status.annotations" or path.endswith(".properties{}.type") or unused


def _fits(crd: str, model: str) -> bool:
    return crd == model or (crd, model) == ("map of object", "map of any")


@each_kind
def test_every_field_is_described(kind: str) -> None:
    fields = crd_fields(kind)
    assert len(fields) > 40
    bare = [path for path, field in fields.items() if len(field.schema.get("description", "").split()) < 2]
    assert not [path for path in bare if not path.endswith((".kind", ".url"))]
    assert all(field.schema["description"].endswith(".") for field in fields.values())
    assert schema(kind)["description"]


@each_kind
def test_nothing_is_required_but_this(kind: str) -> None:
    assert {path for path, field in crd_fields(kind).items() if field.required} == REQUIRED[kind]
    assert "required" not in schema(kind)


@each_kind
def test_values_are_not_narrowed(kind: str) -> None:
    """Rules are the validator's, which explains them: the schema knows types only."""
    narrowing = {"enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "format", "default", "nullable"}
    for path, field in crd_fields(kind).items():
        keys = {*field.schema, *field.schema.get("items", {})} & narrowing
        assert keys <= ({"format"} if path == "status.observedGeneration" else set()), path


@each_kind
def test_lists(kind: str) -> None:
    for path, field in crd_fields(kind).items():
        if field.type.startswith("list"):
            keys = field.schema.get("x-kubernetes-list-map-keys")
            assert keys == MERGED_LISTS.get(path), path
            assert field.schema["x-kubernetes-list-type"] == ("map" if keys else "atomic"), path


@each_kind
def test_names_versions_and_columns(kind: str) -> None:
    found = definition(kind)
    spec: dict[str, Any] = found["spec"]
    plural = spec["names"]["plural"]
    assert (spec["group"], found["metadata"]["name"]) == (GROUP, f"{plural}.{GROUP}")
    assert spec["names"]["categories"] == ["alauda"]
    assert spec["scope"] == {"Connector": "Namespaced", "ConnectorClass": "Cluster"}[kind]
    assert (
        "preserveUnknownFields" not in spec
    )  # false is what v1 defaults to; written out, each apply would be a change
    (version,) = spec["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    assert {column["name"]: column["jsonPath"] for column in version["additionalPrinterColumns"]} == COLUMNS[kind]


def test_every_file_of_the_folder_is_used() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "deploy/crds").iterdir()}
    assert files == {*CRDS.values(), "deploy/crds/kustomization.yaml"}
