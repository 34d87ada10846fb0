from __future__ import annotations

import msgspec
import pytest

from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import NamedValue
from standalone.objects import (
    ConnectorList,
    ConnectorObject,
    connector_class_list,
    connector_class_object,
    connector_list,
    connector_object,
    not_found,
)
from tests.standalone.builders import CANARY, git, repo


def test_shapes_of_the_api_server() -> None:
    items = [connector_object(repo(name), ConnectorStatus()) for name in ("b", "a")]
    made = msgspec.to_builtins(connector_list(items, 7))
    assert (made["apiVersion"], made["kind"]) == ("connectors.alauda.io/v1alpha1", "ConnectorList")
    assert made["metadata"] == {"resourceVersion": "7"}
    assert [item["metadata"]["name"] for item in made["items"]] == ["a", "b"]
    assert made["items"][0]["kind"] == "Connector"
    assert made["items"][0]["spec"] == {"connectorClassName": "git", "address": "https://tool.example"}


def test_classes() -> None:
    made = msgspec.to_builtins(connector_class_list([connector_class_object(git(), ConnectorClassStatus())], 7))
    assert made["kind"] == "ConnectorClassList"
    assert made["items"][0]["kind"] == "ConnectorClass"
    assert made["items"][0]["spec"]["proxy"] == {}


def test_a_list_reads_back_as_it_was() -> None:
    made = connector_list([connector_object(repo(), ConnectorStatus(observed_generation=2))], 7)
    assert msgspec.json.decode(msgspec.json.encode(made), type=ConnectorList) == made


def test_not_found_is_a_status() -> None:
    assert msgspec.to_builtins(not_found("connectors", "x")) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'connectors.connectors.alauda.io "x" not found',
        "reason": "NotFound",
        "details": {"name": "x", "group": "connectors.alauda.io", "kind": "connectors"},
        "code": 404,
    }


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://tool.example/git", "https://tool.example/git"),
        ("https://tool.example/@scope/x", "https://tool.example/@scope/x"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        (f"https://user:{CANARY}@tool.example/x", "https://**********@tool.example/x"),
        (f"https://{CANARY}@tool.example", "https://**********@tool.example"),
        (f"user:{CANARY}@tool.example", "**********@tool.example"),
        (f"https://tool.example/?token={CANARY}", "https://tool.example/?**********"),
        (f"https://tool.example/#{CANARY}\n{CANARY}", "https://tool.example/#**********"),
        ("", ""),
    ],
)
def test_t27_what_an_address_must_not_hold_is_not_shown(address: str, shown: str) -> None:
    extensions = [{"name": "api", "value": address}, {"name": "odd", "value": 7}]
    made: ConnectorObject = connector_object(repo(address=address, addressExtensions=extensions), ConnectorStatus())
    assert made.spec.address == shown
    assert made.spec.address_extensions == (NamedValue("api", shown), NamedValue("odd", 7))
