"""The ledger: gives objects from files the metadata that an API server would."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from connectors.model.feature_flags import FeatureFlags
from connectors.model.metadata import ObjectMeta
from connectors.model.secret import Secret
from connectors.sources.manifests import Manifest, Value
from connectors.sources.problem import Identity


@dataclass(frozen=True, slots=True)
class _Entry:
    content: bytes
    value: Value


class Ledger:
    """Remembers each object while it is there.

    An object keeps its uid and its creation time; its resourceVersion and generation move only when its content does,
    and until then it stays the same instance: by that a snapshot sees what has not changed. A uid in a manifest is not
    used: it would be that of another object, of a cluster or of a copied file, and connections are kept apart by uid.
    """

    def __init__(self, timestamp: Callable[[], str]) -> None:
        """`timestamp` returns the time as metav1.Time writes it."""
        self._timestamp = timestamp
        self._entries: dict[Identity, _Entry] = {}
        self._version = 0

    def settle(self, identity: Identity, manifest: Manifest | None) -> Value | None:
        """The object of this manifest; None where there is none, or none that can be used: then it is forgotten."""
        before = self._entries.get(identity)
        if before is not None and manifest is not None and before.content == manifest.content:
            return before.value
        if manifest is None or manifest.value is None:
            self._entries.pop(identity, None)
            return None
        self._entries[identity] = entry = _Entry(manifest.content, self._numbered(identity, manifest.value, before))
        return entry.value

    def _numbered(self, identity: Identity, value: Value, before: _Entry | None) -> Value:
        if isinstance(value, FeatureFlags):
            return value
        self._version += 1
        old = before.value.metadata if before and not isinstance(before.value, FeatureFlags) else None
        created = old.creation_timestamp if old else value.metadata.creation_timestamp or self._timestamp()
        metadata = replace(
            value.metadata,
            namespace=identity.namespace,
            uid=old.uid if old else str(uuid.uuid4()),
            resource_version=str(self._version),
            generation=old.generation + 1 if old else 1,
            creation_timestamp=created,
        )
        return _with(value, metadata)


def _with(value: Value, metadata: ObjectMeta) -> Value:
    if isinstance(value, Secret):
        return dataclasses.replace(value, metadata=metadata)
    return value if isinstance(value, FeatureFlags) else replace(value, metadata=metadata)
