"""The CRDs as data: every field with its type, by its path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parents[2]
CRDS = {"Connector": "deploy/crds/connectors.yaml", "ConnectorClass": "deploy/crds/connectorclasses.yaml"}

Schema = dict[str, Any]


class CrdField(NamedTuple):
    """A field below spec or status; items of lists end in `[]`, values of maps in `{}`."""

    path: str
    type: str
    required: bool
    schema: Schema


def definition(kind: str) -> Schema:
    """The whole CustomResourceDefinition."""
    loaded: Schema = yaml.safe_load((ROOT / CRDS[kind]).read_text(encoding="utf-8"))
    return loaded


def schema(kind: str) -> Schema:
    """The schema of its only version."""
    (version,) = definition(kind)["spec"]["versions"]
    found: Schema = version["schema"]["openAPIV3Schema"]
    return found


def crd_fields(kind: str) -> dict[str, CrdField]:
    """Every field, in the order of the file."""
    return {field.path: field for field in _below("", schema(kind))}


def type_of(node: Schema) -> str:
    """string, integer, boolean, object, list of TYPE, map of TYPE, or any."""
    kind = node.get("type")
    if kind == "array":
        return f"list of {type_of(node['items'])}"
    if kind == "object" and "additionalProperties" in node:
        return f"map of {type_of(node['additionalProperties'])}"
    return str(kind) if kind else "any"


def _below(path: str, node: Schema) -> Iterator[CrdField]:
    for name, child in node.get("properties", {}).items():
        where = f"{path}.{name}" if path else name
        yield CrdField(where, type_of(child), name in node.get("required", ()), child)
        yield from _inside(where, child)


def _inside(path: str, node: Schema) -> Iterator[CrdField]:
    if "items" in node:
        yield from _inside(f"{path}[]", node["items"])
    elif "additionalProperties" in node:
        yield from _inside(f"{path}{{}}", node["additionalProperties"])
    else:
        yield from _below(path, node)
