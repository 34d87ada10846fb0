"""Builders of manifests, and the files that `connectors serve` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

API_VERSION = "connectors.alauda.io/v1alpha1"
Manifest = dict[str, Any]


def connector(
    name: str,
    address: str,
    class_name: str = "generic",
    *,
    namespace: str = "default",
    metadata: Mapping[str, object] | None = None,
    **spec: object,
) -> Manifest:
    """A Connector; `spec` and `metadata` hold what it has beyond the other arguments, in camelCase."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Connector",
        "metadata": {"name": name, "namespace": namespace, **(metadata or {})},
        "spec": {"connectorClassName": class_name, "address": address, **spec},
    }


def auth(name: str, secret: str | None = None, **params: str) -> Manifest:
    """spec.auth: an authentication type, its Secret, and parameters of its check."""
    made: Manifest = {"name": name}
    if secret is not None:
        made["secretRef"] = {"name": secret}
    if params:
        made["params"] = [{"name": key, "value": value} for key, value in params.items()]
    return made


def secret(name: str, data: Mapping[str, str], type_: str = "Opaque", *, namespace: str = "default") -> Manifest:
    """A Secret with stringData."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": type_,
        "stringData": dict(data),
    }


def stored_secret(name: str, value: str = "YQ==", *, namespace: str = "team", **metadata: object) -> Manifest:
    """A Secret as the API server has it, with `value` in base64 under the key `a`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "data": {"a": value},
    }


def basic_auth(name: str, username: str, password: str, *, namespace: str = "default") -> Manifest:
    """A Secret of type kubernetes.io/basic-auth."""
    data = {"username": username, "password": password}
    return secret(name, data, "kubernetes.io/basic-auth", namespace=namespace)


def bearer_token(name: str, token: str, *, namespace: str = "default") -> Manifest:
    """A Secret of type connectors.cpaas.io/bearer-token."""
    return secret(name, {"token": token}, "connectors.cpaas.io/bearer-token", namespace=namespace)


def caller_token(name: str, token: str, *, namespace: str = "default") -> Manifest:
    """A ServiceAccount's token, as `--client-auth token` accepts it for Connectors of its own namespace."""
    made = secret(name, {"token": token}, "kubernetes.io/service-account-token", namespace=namespace)
    made["metadata"]["annotations"] = {"kubernetes.io/service-account.name": name}
    return made


def connector_class(name: str, auth_types: Sequence[Mapping[str, Any]] = (), **spec: object) -> Manifest:
    """A ConnectorClass with a proxy; pass `proxy=None` for one without."""
    parts: Manifest = {"auth": {"types": [dict(kind) for kind in auth_types]}, "proxy": {}, **spec}
    return {
        "apiVersion": API_VERSION,
        "kind": "ConnectorClass",
        "metadata": {"name": name},
        "spec": {key: value for key, value in parts.items() if value is not None},
    }


def write(folder: Path, *manifests: Manifest, file: str = "manifests.yaml") -> Path:
    """Write manifests as one file below `folder`, swapped in whole as editors do; returns `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    half = folder / f".{file}.part"
    half.write_text(yaml.safe_dump_all(manifests, sort_keys=False), encoding="utf-8")
    half.replace(folder / file)
    return folder
