"""core/v1 Secret manifests -> Secret. A message names the key that is wrong, never the value."""

from __future__ import annotations

import base64
import binascii
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from connectors.objects.metadata import ObjectMeta, shared
from connectors.objects.secret import OPAQUE, Secret, SecretValue
from connectors.objects.violation import Violation
from connectors.sources.fields import decode
from connectors.sources.place import field_path

# kubectl writes the whole manifest into this annotation, of a Secret its values too (threat 14).
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def without_last_applied(metadata: ObjectMeta) -> ObjectMeta:
    """The metadata without kubectl's copy of the manifest."""
    if LAST_APPLIED not in metadata.annotations:
        return metadata
    return replace(metadata, annotations={k: v for k, v in metadata.annotations.items() if k != LAST_APPLIED})


class _Envelope(Struct, frozen=True, rename="camel", kw_only=True):
    """A Secret but for its values: they never enter a Struct, whose repr would show them."""

    metadata: ObjectMeta = ObjectMeta()
    type: str = ""


def decode_secret(manifest: dict[str, Any]) -> tuple[Secret | None, tuple[Violation, ...]]:
    """The Secret, or why there is none: as the API server does, stringData goes over data."""
    envelope = decode({name: manifest[name] for name in ("metadata", "type") if name in manifest}, _Envelope)
    if isinstance(envelope, Violation):
        return None, (envelope,)
    values: dict[str, SecretValue] = {}
    violations: list[Violation] = []
    for field in ("data", "stringData"):
        _collect(field, manifest.get(field, {}), values, violations)
    if violations:
        return None, tuple(violations)
    return Secret(
        without_last_applied(envelope.metadata), shared(envelope.type or OPAQUE), MappingProxyType(values)
    ), ()


def _collect(field: str, items: Any, values: dict[str, SecretValue], violations: list[Violation]) -> None:
    if not isinstance(items, dict):
        violations.append(Violation(field, "must be a mapping from keys to values"))
        return
    for key, text in items.items():
        value = _value(field, text)
        if isinstance(value, str):
            violations.append(Violation(field_path(field, key), value))
        else:
            values[key] = value


def _value(field: str, text: Any) -> SecretValue | str:
    """The value, or why it is not one."""
    if not isinstance(text, str):
        return "must be a string; put it in quotes"
    if field == "stringData":
        return SecretValue(text.encode())
    try:
        # Line breaks are allowed, as in the API server's decoder; anything else outside the alphabet is not.
        return SecretValue(base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True))
    except (binascii.Error, ValueError):
        return "is not base64; encode the value, or put it under stringData as it is"
