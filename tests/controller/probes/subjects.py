"""Connectors with a class that probes, for tests of probes."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.inventory import Inventory
from connectors.judgement import Judgement, judgement_of
from connectors.objects.connector import Connector
from connectors.objects.connector_class import ConnectorClass
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import OPAQUE, Secret, SecretValue
from connectors.rules.connector_class import judge_class
from connectors.rules.examination import Inputs, examine
from connectors.snapshot import Objects, Snapshot
from tests.builders import connector

TOKEN = b"canary-4711"
BEARER = [{"name": "Authorization", "value": "{{ if .Secret }}Bearer {{ .Secret.StringData.token }}{{ end }}"}]


def http(path: str = "/", **fields: Any) -> dict[str, Any]:
    return {"http": {"path": path, **fields}}


def probing_class(
    liveness: dict[str, Any] | None = None,
    auth: dict[str, Any] | None = None,
    name: str = "demo",
    types: list[dict[str, Any]] | None = None,
    **spec: Any,
) -> ConnectorClass:
    """A class with these probes and one authentication type `auth`, which injects a bearer token (or with `types`)."""
    kind = {
        "name": "auth",
        "secretType": OPAQUE,
        "optional": True,
        "generator": {"headers": [{"name": "Authorization", "value": "Bearer {{ .Secret.StringData.token }}"}]},
    }
    full: dict[str, Any] = {"proxy": {}, "auth": {"types": types or [kind]}, **spec}
    if liveness is not None:
        full["livenessProbe"] = liveness
    if auth is not None:
        full["authProbes"] = [{"authName": "auth", "probe": auth}]
    metadata = {"name": name, "uid": f"uid-{name}", "generation": 1}
    return msgspec.convert({"metadata": metadata, "spec": full}, ConnectorClass)


def probed(
    name: str = "tool", address: str = "https://tool.example/prefix", *, secret: bool = True, **spec: Any
) -> Connector:
    """A Connector of team, with Secret `login`."""
    full: dict[str, Any] = {"auth": {"name": "auth"}, **spec}
    if secret:
        full["auth"] = {**full["auth"], "secretRef": {"name": "login"}}
    metadata = {"uid": f"uid-{name}", "generation": 1}
    return connector(name, namespace="team", metadata=metadata, address=address, **full)


def login(version: str = "1", **data: bytes) -> Secret:
    metadata = ObjectMeta(name="login", namespace="team", uid="uid-login", resource_version=version)
    return Secret(metadata, OPAQUE, {key: SecretValue(value) for key, value in (data or {"token": TOKEN}).items()})


def judgement(
    connector_class: ConnectorClass, item: Connector | None = None, secret: Secret | None = None
) -> Judgement:
    """Judged with Secret `login`, where the Connector names one."""
    item = item or probed()
    named = item.spec.auth is not None and item.spec.auth.secret_ref is not None
    # Whatever is wrong with the class: these are tests of probes, which must be total.
    judged = judge_class(connector_class)._replace(violations=())
    inputs = Inputs(item, judged, secret=(secret or login()) if named else None)
    return judgement_of(examine(inputs))


def snapshot(
    *connectors: Connector,
    classes: tuple[ConnectorClass, ...],
    secret: Secret | None = None,
    inventory: Inventory | None = None,
) -> Snapshot:
    """The next one of this inventory, or the first of another."""
    return (inventory or Inventory()).build(
        Objects(connectors=connectors, classes=classes, secrets=(secret or login(),))
    )
