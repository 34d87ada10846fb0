"""Objects that tests of standalone/ share."""

from __future__ import annotations

from typing import Any

from connectors.objects.connector import Connector
from connectors.objects.connector_class import AuthType, ClassAuth, ClassProxy, ConnectorClass, ConnectorClassSpec
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import BASIC_AUTH, Secret
from connectors.snapshot import Objects
from tests.builders import connector, secret

CANARY = "canary-4f1d"
CREATED = "2024-10-16T02:27:44Z"


def git() -> ConnectorClass:
    auth_type = AuthType(name="basicAuth", secret_type=BASIC_AUTH, optional=True)
    spec = ConnectorClassSpec(auth=ClassAuth(types=(auth_type,)), proxy=ClassProxy())
    return ConnectorClass(metadata=ObjectMeta(name="git", creation_timestamp=CREATED), spec=spec)


def repo(name: str = "repo", namespace: str = "default", **spec: Any) -> Connector:
    """A Connector of class `git`; `spec` is written as in a manifest."""
    full = {"connectorClassName": "git", "address": "https://tool.example", **spec}
    return connector(name, namespace=namespace, metadata={"generation": 1, "creationTimestamp": CREATED}, **full)


def with_secret(name: str = "login") -> dict[str, Any]:
    """spec.auth."""
    return {"name": "basicAuth", "secretRef": {"name": name}}


def login(name: str = "login") -> Secret:
    """Its Secret."""
    return secret(name, kind=BASIC_AUTH, username=b"user", password=CANARY.encode())


def some_objects() -> Objects:
    return Objects(
        connectors=(
            repo("zebra", auth=with_secret()),
            repo("open"),
            repo("other", "team"),
            repo("classless", "team", connectorClassName="nope"),
            repo("leaky", "team", address=f"https://user:{CANARY}@tool.example/x?token={CANARY}"),
            repo("wordy", "team", addressExtensions=[{"name": "api", "value": f"https://u:{CANARY}@api.example"}]),
        ),
        classes=(git(),),
        secrets=(login(),),
    )
