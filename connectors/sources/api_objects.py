"""JSON of the API server -> the model's values. What does not fit keeps its metadata, and says which field is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from connectors.json_depth import too_deep
from connectors.kube import nesting
from connectors.objects.ceilings import CEILING_ANNOTATIONS
from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import UPSTREAM_PROXY_ANNOTATION, Connector, ConnectorSpec
from connectors.objects.connector_class import RESOLVER_ANNOTATION, ConnectorClass, ConnectorClassSpec
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import Secret, SecretKey
from connectors.objects.violation import Violation
from connectors.sources.feature_flags import decode_flags
from connectors.sources.fields import decode, without_nulls
from connectors.sources.secrets import decode_secret

S = TypeVar("S", bound=Struct)
Spec = TypeVar("Spec", ConnectorSpec, ConnectorClassSpec)
Item = TypeVar("Item", Connector, ConnectorClass)
Status = TypeVar("Status", ConnectorStatus, ConnectorClassStatus)

# Bytes of a Connector's spec. A real one has a kilobyte; of any namespace's author the API server takes 1.5 MiB, and
# some hundred of these would be all the memory that the processes have.
MAX_SPEC = 64 * 1024
# Bytes of a class's spec, which may hold OpenAPI documents: no API server has a larger one, since etcd takes none. A
# review, which comes from any client that reaches the webhook, could have.
MAX_CLASS = 1536 * 1024


@dataclass(frozen=True, slots=True)
class HeldObject(Generic[Item, Status]):
    """A Connector or a ConnectorClass as the API server has it now.

    `resource_version` is of the whole object, status writes included. `status` is None if there is none yet, or none
    that can be read. `deleting`: it has a deletionTimestamp. `malformed`: why `item` has no spec.
    """

    item: Item
    resource_version: str
    status: Status | None = None
    deleting: bool = False
    malformed: Violation | None = None


HeldConnector = HeldObject[Connector, ConnectorStatus]
HeldClass = HeldObject[ConnectorClass, ConnectorClassStatus]


class _Object(Struct, frozen=True):
    metadata: Raw = Raw(b"{}")
    spec: Raw = Raw(b"{}")
    status: Raw = Raw(b"null")


_ABSENT = {"metadata": b"{}", "status": b"null"}
_OBJECT = msgspec.json.Decoder(_Object)


class _Deletion(Struct, frozen=True, rename="camel"):
    deletion_timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Item, Spec, Status]):
    """What the two kinds differ in. `most`: bytes of a spec. `kept`: the annotations that something reads."""

    item: Callable[[ObjectMeta, Spec], Item]
    spec: type[Spec]
    status: type[Status]
    most: int
    kept: frozenset[str] = frozenset()


_CONNECTOR = _Kind(
    lambda metadata, spec: Connector(metadata=metadata, spec=spec), ConnectorSpec, ConnectorStatus, MAX_SPEC,
    frozenset({UPSTREAM_PROXY_ANNOTATION, *CEILING_ANNOTATIONS}),
)  # fmt: skip
_CLASS = _Kind(
    lambda metadata, spec: ConnectorClass(metadata=metadata, spec=spec), ConnectorClassSpec, ConnectorClassStatus,
    MAX_CLASS, frozenset({RESOLVER_ANNOTATION, UPSTREAM_PROXY_ANNOTATION, *CEILING_ANNOTATIONS}),
)  # fmt: skip


def read_connector(raw: Raw | bytes) -> HeldConnector:
    """A Connector; one whose spec has another shape comes back with `malformed` set and no spec.

    Labels and annotations are not kept but for those that something reads: they can be long.
    """
    return _held(raw, _CONNECTOR)


def read_class(raw: Raw | bytes) -> HeldClass:
    """A ConnectorClass; see read_connector."""
    return _held(raw, _CLASS)


def read_secret(raw: Raw | bytes) -> Secret | None:
    """A Secret; None for one that the API server itself would not take."""
    return decode_secret(without_nulls(msgspec.json.decode(raw)))[0]


def read_flags(raw: Raw | bytes) -> tuple[FeatureFlags | None, tuple[Violation, ...]]:
    """The flags of ConfigMap connectors-config, or what is wrong with them."""
    return decode_flags(without_nulls(msgspec.json.decode(raw)))


def newer(before: HeldObject[Item, Status], after: HeldObject[Item, Status]) -> HeldObject[Item, Status]:
    """`after`, but with the instance of `before` if only the status changed: then the snapshot keeps it as well."""
    was, is_now = before.item, after.item
    metadata = replace(is_now.metadata, resource_version=was.metadata.resource_version)
    if before.malformed == after.malformed and was.spec == is_now.spec and was.metadata == metadata:
        return dataclasses.replace(after, item=was)
    return after


def _held(raw: Raw | bytes, kind: _Kind[Item, Spec, Status]) -> HeldObject[Item, Status]:
    entry = _parts(raw)
    metadata = msgspec.json.decode(entry.metadata, type=ObjectMeta)
    spec, malformed = kind.spec(), _too_large(entry.spec, kind.most)
    if malformed is None:
        spec, malformed = _spec(entry.spec, kind.spec)
    annotations = {name: value for name, value in metadata.annotations.items() if name in kind.kept}
    item = kind.item(replace(metadata, annotations=annotations, labels={}), spec)
    return HeldObject(item, metadata.resource_version, _status(entry.status, kind.status), _deleting(entry), malformed)


def _parts(raw: Raw | bytes) -> _Object:
    """Where it is nested too deeply, the spec stays as it is: it is measured before anything of it is cut.

    The rest is cut here: managed fields are as deep as the spec that they are of, and they are not kept.
    """
    if not too_deep(bytes(raw)):
        return _OBJECT.decode(raw)
    found = nesting.members(raw)
    metadata, status = (Raw(nesting.shallow(found.get(name, Raw(text)))) for name, text in _ABSENT.items())
    return _Object(metadata, found.get("spec", Raw(b"{}")), status)


def _deleting(entry: _Object) -> bool:
    return msgspec.json.decode(entry.metadata, type=_Deletion).deletion_timestamp is not None


def _too_large(raw: Raw, most: int) -> Violation | None:
    size = len(bytes(raw))
    if size <= most:
        return None
    return Violation("spec", f"has {size} bytes of JSON; use at most {most}")


def _spec(raw: Raw, kind: type[S]) -> tuple[S, Violation | None]:
    text = nesting.shallow(raw)
    try:
        return msgspec.json.decode(text, type=kind), None
    except msgspec.ValidationError:
        # In several steps, which cost more: null means no field, and a violation names the field in plain words.
        return _careful(msgspec.json.decode(text), kind)


def _careful(data: Any, kind: type[S]) -> tuple[S, Violation | None]:
    decoded = decode(without_nulls(data), kind)
    if not isinstance(decoded, Violation):
        return decoded, None
    path = f"spec.{decoded.path}" if decoded.path else "spec"
    return kind(), Violation(path, decoded.message)


def _status(raw: Raw, kind: type[S]) -> S | None:
    """What cannot be read counts as absent: it is written again."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return None


def keyed_secret(raw: Raw) -> tuple[SecretKey, Secret | None]:
    """A Secret with its key, as caches want it; without a name if it cannot be read."""
    secret = read_secret(raw)
    return (secret.key if secret else SecretKey("", "")), secret
