"""Manifests -> Objects without any file: for a proxy inside of the test's process."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.resources import files

import msgspec
import yaml

from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import Secret, SecretValue
from connectors.snapshot import Objects
from tests.peers.manifests import Manifest


def objects_of(*manifests: Manifest) -> Objects:
    """The objects of these manifests, and those of the built-in classes that a Connector among them names.

    The others would decide nothing, and looking them through takes longer than all else that a proxy begins with.
    """
    by_kind: dict[str, list[Manifest]] = {"Connector": [], "ConnectorClass": [], "Secret": [], "ConfigMap": []}
    for manifest in manifests:
        by_kind[manifest["kind"]].append(manifest)
    own = tuple(msgspec.convert(manifest, ConnectorClass) for manifest in by_kind["ConnectorClass"])
    connectors = tuple(msgspec.convert(manifest, Connector) for manifest in by_kind["Connector"])
    wanted = {item.spec.connector_class_name for item in connectors} - {item.metadata.name for item in own}
    return Objects(
        connectors=connectors,
        classes=own + tuple(item for item in _built_in_classes() if item.metadata.name in wanted),
        secrets=tuple(_secret(manifest) for manifest in by_kind["Secret"]),
        flags=next((_flags(manifest) for manifest in by_kind["ConfigMap"]), FeatureFlags()),
    )


@cache
def _built_in_classes() -> tuple[ConnectorClass, ...]:
    folder = files("connectors").joinpath("classes")
    texts = [entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".yaml")]
    return tuple(msgspec.convert(yaml.safe_load(text), ConnectorClass) for text in texts)


def _flags(manifest: Manifest) -> FeatureFlags:
    return msgspec.convert({name: value == "true" for name, value in manifest["data"].items()}, FeatureFlags)


def _secret(manifest: Manifest) -> Secret:
    """Its resourceVersion changes with its content, as in a cluster."""
    content = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    metadata = msgspec.convert({**manifest["metadata"], "resourceVersion": content}, ObjectMeta)
    data = {key: SecretValue(value.encode()) for key, value in manifest["stringData"].items()}
    return Secret(metadata, manifest["type"], data)
