"""Objects that tests of standalone/ share."""

from __future__ import annotations

from connectors.objects.connector import Connector, ConnectorAuth, ConnectorSpec, NamedValue, SecretReference
from connectors.objects.connector_class import AuthType, ClassAuth, ClassProxy, ConnectorClass, ConnectorClassSpec
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import BASIC_AUTH, Secret, SecretValue
from connectors.snapshot import Objects

CANARY = "canary-4f1d"
CREATED = "2024-10-16T02:27:44Z"


def git() -> ConnectorClass:
    auth_type = AuthType(name="basicAuth", secret_type=BASIC_AUTH, optional=True)
    spec = ConnectorClassSpec(auth=ClassAuth(types=(auth_type,)), proxy=ClassProxy())
    return ConnectorClass(metadata=ObjectMeta(name="git", creation_timestamp=CREATED), spec=spec)


def connector(name: str = "repo", namespace: str = "default", **fields: object) -> Connector:
    spec: dict[str, object] = {"connector_class_name": "git", "address": "https://tool.example", **fields}
    metadata = ObjectMeta(name=name, namespace=namespace, generation=1, creation_timestamp=CREATED)
    return Connector(metadata=metadata, spec=ConnectorSpec(**spec))  # type: ignore[arg-type]


def with_secret(name: str = "login") -> ConnectorAuth:
    return ConnectorAuth(name="basicAuth", secret_ref=SecretReference(name=name))


def secret(name: str = "login", namespace: str = "default") -> Secret:
    data = {"username": SecretValue(b"user"), "password": SecretValue(CANARY.encode())}
    return Secret(ObjectMeta(name=name, namespace=namespace), BASIC_AUTH, data)


def some_objects() -> Objects:
    return Objects(
        connectors=(
            connector("zebra", auth=with_secret()),
            connector("open"),
            connector("other", "team"),
            connector("classless", "team", connector_class_name="nope"),
            connector("leaky", "team", address=f"https://user:{CANARY}@tool.example/x?token={CANARY}"),
            connector("wordy", "team", address_extensions=(NamedValue("api", f"https://u:{CANARY}@api.example"),)),
        ),
        classes=(git(),),
        secrets=(secret(),),
    )
