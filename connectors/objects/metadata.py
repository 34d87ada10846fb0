"""metadata of a Kubernetes object (API conventions), as far as this project reads it."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct, field
from msgspec.structs import force_setattr

# Texts that are remembered. With more of them, some are in memory twice; nothing else happens.
MOST = 4096
# Characters of such a text: a name of one label has 63.
LONGEST = 64


def shared(text: str) -> str:
    """One instance for all equal texts: thousands of objects have the same namespace, class and type.

    Not for what may be a secret: it is remembered.
    """
    return _shared(text) if len(text) <= LONGEST else text


@lru_cache(maxsize=MOST)
def _shared(text: str) -> str:
    return text


GROUP = "connectors.alauda.io"
API_VERSION = f"{GROUP}/v1alpha1"


class ObjectMeta(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """The part of metav1.ObjectMeta that is read or served; sources fill what a manifest leaves out."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Thousands of objects have a namespace in common, and nothing in these two.
        force_setattr(self, "namespace", shared(self.namespace))
        if not self.labels:
            force_setattr(self, "labels", _NONE)
        if not self.annotations:
            force_setattr(self, "annotations", _NONE)


_NONE: dict[str, str] = {}
