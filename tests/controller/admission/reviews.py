"""AdmissionReviews as the API server writes them."""

from __future__ import annotations

import json
from typing import Any

from connectors.objects.metadata import API_VERSION, GROUP

Json = dict[str, Any]
JANE = {"username": "jane", "uid": "7", "groups": ["team", "system:authenticated"], "extra": {"key": ["a"]}}
PLURALS = {"Connector": "connectors", "ConnectorClass": "connectorclasses"}


def connector(name: str = "tool", *, metadata: Json | None = None, **spec: Any) -> Json:
    full = {"connectorClassName": "git", "address": "https://tool.example", **spec}
    named = {"name": name, "namespace": "team", **(metadata or {})}
    return {"apiVersion": API_VERSION, "kind": "Connector", "metadata": named, "spec": full}


def connector_class(name: str = "git", *, metadata: Json | None = None, **spec: Any) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": "ConnectorClass",
        "metadata": {"name": name, **(metadata or {})},
        "spec": spec,
    }


def review(new: Json | None, old: Json | None = None, **request: Any) -> Json:
    """CREATE without `old`, DELETE without `new`, else UPDATE; `request` goes over the request's fields."""
    shown = new or old or {}
    operation = "UPDATE" if new and old else "CREATE" if new else "DELETE"
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u-1",
            "kind": {"group": GROUP, "version": "v1alpha1", "kind": shown.get("kind")},
            "resource": {"group": GROUP, "version": "v1alpha1", "resource": PLURALS.get(shown.get("kind", ""), "")},
            "name": shown.get("metadata", {}).get("name", ""),
            "namespace": "team",
            "operation": operation,
            "userInfo": JANE,
            "object": new,
            "oldObject": old,
            "dryRun": False,
            "options": None,
            **request,
        },
    }


def body(new: Json | None, old: Json | None = None, **request: Any) -> bytes:
    return json.dumps(review(new, old, **request)).encode()
