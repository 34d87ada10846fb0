"""The ledger: gives objects from files the metadata that an API server would."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable

from msgspec.structs import replace

from connectors.model.feature_flags import FeatureFlags
from connectors.model.metadata import ObjectMeta
from connectors.model.secret import Secret
from connectors.model.shared import shared
from connectors.sources.manifests import Manifest, Value
from connectors.sources.problem import Identity


class Ledger:
    """Remembers each object while it is there.

    An object keeps its uid and its creation time; its resourceVersion and generation move only when its content does,
    and until then it stays the same instance: by that a snapshot sees what has not changed. A uid in a manifest is not
    used: it would be that of another object, of a cluster or of a copied file, and connections are kept apart by uid.
    """

    def __init__(self, timestamp: Callable[[], str]) -> None:
        """`timestamp` returns the time as metav1.Time writes it."""
        self._timestamp = timestamp
        self._entries: dict[Identity, Manifest] = {}
        self._version = 0

    def value(self, identity: Identity) -> Value | None:
        """The object of this identity, as it was settled last."""
        entry = self._entries.get(identity)
        return entry.value if entry else None

    def settle(self, identity: Identity, manifest: Manifest | None) -> Manifest | None:
        """The manifest with its object numbered; None where there is none, or none of use: then it is forgotten."""
        before = self._entries.get(identity)
        if before is not None and manifest is not None and before.content == manifest.content:
            # Its lines may have moved.
            settled = before if before.place is manifest.place else dataclasses.replace(manifest, value=before.value)
        elif manifest is None or manifest.value is None:
            self._entries.pop(identity, None)
            return None
        else:
            value = self._numbered(identity, manifest.value, before.value if before else None)
            settled = dataclasses.replace(manifest, value=value)
        self._entries[identity] = settled
        return settled

    def _numbered(self, identity: Identity, value: Value, before: Value | None) -> Value:
        if isinstance(value, FeatureFlags):
            return value
        self._version += 1
        old = before.metadata if before and not isinstance(before, FeatureFlags) else None
        created = old.creation_timestamp if old else value.metadata.creation_timestamp or shared(self._timestamp())
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
