"""Values of the model for every test, with what a test is not about filled in; peers/manifests.py has manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from connectors.inventory import Inventory
from connectors.objects.connector import Connector
from connectors.objects.connector_class import AuthType, ConnectorClass
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import OPAQUE, Secret, SecretKey, SecretValue
from connectors.snapshot import Objects, Snapshot
from connectors.trust import Authorities, Layers
from tests.peers import manifests

ADDRESS = "https://tool.example.com"


def connector(
    name: str = "tool", *, namespace: str = "default", metadata: Mapping[str, Any] | None = None, **spec: Any
) -> Connector:
    """A Connector of class `demo`; `spec` and `metadata` are written as in a manifest."""
    address, class_name = spec.pop("address", ADDRESS), spec.pop("connectorClassName", "demo")
    made = manifests.connector(name, address, class_name, namespace=namespace, metadata=metadata, **spec)
    return msgspec.convert(made, Connector)


def connector_class(name: str = "demo", *, annotations: dict[str, str] | None = None, **spec: Any) -> ConnectorClass:
    """A ConnectorClass with a proxy; `spec` is written as in a manifest."""
    metadata = {"name": name, "annotations": annotations or {}}
    return msgspec.convert({"metadata": metadata, "spec": {"proxy": {}, **spec}}, ConnectorClass)


def basic_class(*, optional: bool = True, **spec: Any) -> ConnectorClass:
    """A class whose only authentication type is `basicAuth`."""
    auth_type = {"name": "basicAuth", "secretType": "kubernetes.io/basic-auth", "optional": optional}
    return connector_class(auth={"types": [auth_type]}, **spec)


def auth_type(**fields: Any) -> AuthType:
    """An authentication type; `fields` are written as in a manifest."""
    return msgspec.convert({"name": "auth", **fields}, AuthType)


def secret(name: str = "login", *, kind: str = OPAQUE, namespace: str = "default", **data: bytes) -> Secret:
    """A Secret with `data`."""
    return secret_of(data, kind, name, namespace)


def secret_of(data: Mapping[str, bytes], kind: str = OPAQUE, name: str = "login", namespace: str = "default") -> Secret:
    """A Secret with keys that are no words of Python's."""
    values = {key: SecretValue(value) for key, value in data.items()}
    return Secret(ObjectMeta(name=name, namespace=namespace), kind, values)


def ca_secret(pem: bytes, name: str = "ca", *, namespace: str = "connectors-system", uid: str = "1") -> Secret:
    """A Secret with CA certificates."""
    return Secret(ObjectMeta(name=name, namespace=namespace, uid=uid), OPAQUE, {"ca.crt": SecretValue(pem)})


def successive(*moments: Objects) -> list[Snapshot]:
    """The snapshots of one process that sees these moments one behind the other."""
    inventory = Inventory()
    return [inventory.build(moment) for moment in moments]


def authorities(*for_all: Secret, own: tuple[Secret, ...] = (), lost: tuple[SecretKey, ...] = ()) -> Authorities:
    """The CAs where `own` are Secrets that Connectors refer to, as they do to those that are `lost`."""
    layers = Layers()
    layers.for_all(for_all, None)
    for item in own:
        layers.own(item.key, item, "")
    for key in lost:
        layers.own(key, None, "")
    return layers.current()
