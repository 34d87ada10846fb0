"""Objects of Kubernetes' own APIs against the generated models of its client: unknown fields and wrong types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from kubernetes_asyncio.client import Configuration, models

KINDS = {
    "admissionregistration.k8s.io/v1": "V1",
    "apiextensions.k8s.io/v1": "V1",
    "apps/v1": "V1",
    "autoscaling/v2": "V2",
    "networking.k8s.io/v1": "V1",
    "policy/v1": "V1",
    "rbac.authorization.k8s.io/v1": "V1",
    "v1": "V1",
}
"""apiVersion -> prefix of its models."""

_LIST = re.compile(r"list\[(.+)\]")
_MAP = re.compile(r"dict\[(?:\w+), (.+)\]|dict\((?:\w+), (.+)\)")
_SCALARS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool,), "float": (int, float)}


def is_builtin(manifest: dict[str, Any]) -> bool:
    """True for kinds that the client has models of."""
    return manifest["apiVersion"] in KINDS


def violations(manifest: dict[str, Any]) -> list[str]:
    """What does not fit the model of its apiVersion and kind."""
    return list(_object(manifest, KINDS[manifest["apiVersion"]] + manifest["kind"], manifest["kind"]))


def _object(data: Any, model: str, path: str) -> Iterator[str]:
    if not isinstance(data, dict):
        yield f"{path}: {type(data).__name__} instead of {model}"
        return
    fields, required = _fields(model)
    yield from (f"{path}.{name}: is required" for name in sorted(required - data.keys()))
    for name, value in data.items():
        if name in fields:
            yield from _value(value, fields[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: {model} has no such field"


def _value(data: Any, kind: str, path: str) -> Iterator[str]:
    if found := _LIST.fullmatch(kind):
        if not isinstance(data, list):
            yield f"{path}: {type(data).__name__} instead of a list"
            return
        for index, item in enumerate(data):
            yield from _value(item, found[1], f"{path}[{index}]")
    elif found := _MAP.fullmatch(kind):
        for name, item in data.items() if isinstance(data, dict) else ():
            yield from _value(item, found[1] or found[2], f"{path}.{name}")
        if not isinstance(data, dict):
            yield f"{path}: {type(data).__name__} instead of a map"
    elif kind in _SCALARS:
        is_number = isinstance(data, bool) and kind != "bool"
        if is_number or not isinstance(data, _SCALARS[kind]):
            yield f"{path}: {type(data).__name__} instead of {kind}"
    elif kind not in ("object", "datetime"):
        yield from _object(data, kind, path)


@cache
def _fields(model: str) -> tuple[dict[str, str], frozenset[str]]:
    """JSON name -> type, and the required ones, which the models refuse to be without."""
    cls = getattr(models, model)
    types, names = cls.openapi_types, cls.attribute_map
    required = {names[name] for name in names if _refuses_none(cls, name)}
    return {names[name]: types[name] for name in names}, frozenset(required)


def _refuses_none(cls: Any, name: str) -> bool:
    checking = Configuration()
    checking.client_side_validation = True
    blank = cls.__new__(cls)
    blank.local_vars_configuration = checking  # what the constructor sets, which wants all required ones at once
    try:
        setattr(blank, name, None)
    except ValueError:
        return True
    return False
