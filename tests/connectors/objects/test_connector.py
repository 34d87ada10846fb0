from __future__ import annotations

from typing import Any

import msgspec

from connectors.objects.connector import Connector, ConnectorKey
from tests.builders import connector

EVERY_FIELD: dict[str, Any] = {
    "metadata": {"name": "a", "namespace": "b"},
    "spec": {
        "connectorClassName": "git",
        "address": "https://h",
        "addressExtensions": [{"name": "api", "value": "https://api"}],
        "params": [{"name": "p", "value": "v"}],
        "auth": {
            "name": "basicAuth",
            "secretRef": {"name": "s", "namespace": "b", "kind": "Secret", "apiVersion": "v1"},
            "params": [{"name": "repository", "value": "r"}],
        },
        "caCertSecretRef": {"name": "ca"},
    },
}


def test_every_field_of_the_requirement_is_kept() -> None:
    assert msgspec.json.decode(msgspec.json.encode(msgspec.convert(EVERY_FIELD, Connector))) == EVERY_FIELD


def test_the_key_names_it() -> None:
    key = connector("a", namespace="b").key
    assert key == ConnectorKey("b", "a")
    assert str(key) == "b/a"
