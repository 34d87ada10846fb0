"""Services as the API server holds them, for the tables of pure code."""

from __future__ import annotations

from typing import Any

import msgspec

from connectors.objects.connector import Connector
from controller.service import Create, HeldService, decode_service, required_action
from tests.builders import connector

BACKEND = "connectors-proxy-service.connectors-system.svc.cluster.local"
UID = "uid-1"


def a_connector(*, uid: str = UID, class_name: str = "git", name: str = "repo") -> Connector:
    metadata = {"uid": uid, "generation": 1}
    return connector(name, namespace="team", metadata=metadata, connectorClassName=class_name, address="https://tool")


def manifest_for(connector: Connector, external_name: str = BACKEND) -> dict[str, Any]:
    """The Service that a plan creates, as the API server then stores it."""
    action = required_action(connector, None, external_name)
    assert isinstance(action, Create)
    body = action.body
    metadata = {**body["metadata"], "uid": "service-uid", "resourceVersion": "7"}
    return {**body, "metadata": metadata, "spec": {**body["spec"], "sessionAffinity": "None"}}


def held(manifest: dict[str, Any]) -> HeldService:
    return decode_service(msgspec.json.encode(manifest))


def own(connector: Connector) -> HeldService:
    return held(manifest_for(connector))


def foreign(connector: Connector, **labels: str) -> HeldService:
    metadata = {"name": f"c-{connector.metadata.name}", "namespace": "team", "uid": "x", "labels": labels}
    return held({"metadata": metadata, "spec": {"type": "ClusterIP"}})
