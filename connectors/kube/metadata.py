"""metadata of any object, as far as following it needs it. Annotations may hold a Secret's data and are never read."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from connectors.kube.nesting import decode


class Metadata(Struct, frozen=True, rename="camel"):
    """The part of metav1.ObjectMeta that names an object and one version of it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""


class _Object(Struct, frozen=True):
    metadata: Metadata = Metadata()


_DECODER = msgspec.json.Decoder(_Object)
NOTHING = Metadata()


def metadata_of(raw: Raw | bytes) -> Metadata:
    """The metadata of an object; NOTHING where it is no object."""
    try:
        return decode(raw, _DECODER).metadata
    except (msgspec.DecodeError, UnicodeDecodeError):
        return NOTHING
