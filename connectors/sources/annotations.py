"""Annotations that are never kept."""

from __future__ import annotations

from msgspec.structs import replace

from connectors.model.metadata import ObjectMeta

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""kubectl writes the whole manifest into this annotation, of a Secret its values too (threat 14)."""


def without_last_applied(metadata: ObjectMeta) -> ObjectMeta:
    """The metadata without kubectl's copy of the manifest."""
    if LAST_APPLIED not in metadata.annotations:
        return metadata
    return replace(metadata, annotations={k: v for k, v in metadata.annotations.items() if k != LAST_APPLIED})
