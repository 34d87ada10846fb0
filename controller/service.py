"""A Connector's Service `c-NAME` as a value: whose it is, what it should be, and what differs. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from connectors.objects.connector import Connector
from connectors.objects.metadata import API_VERSION, GROUP
from connectors.objects.names import service_name


class ServiceKey(NamedTuple):
    """A Service by name."""

    namespace: str
    name: str


CLASS_LABEL = f"{GROUP}/connectorclass"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
COMPONENT = "connectors-controller-manager"
KIND = "Connector"
EXTERNAL_NAME = "ExternalName"

_OUR_LABELS = frozenset({CLASS_LABEL, MANAGED_BY_LABEL})
_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_KEPT_OF_LONG_NAME = 63 - 1 - 8


class OwnerReference(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """metav1.OwnerReference, every field: what others set is written back as it was."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class Port(Struct, frozen=True, rename="camel", kw_only=True):
    """The part of core/v1 ServicePort that an ExternalName has a use for."""

    name: str = ""
    port: int = 0
    protocol: str = "TCP"


# The port of every Connector's Service. An ExternalName forwards no port; this is for programs that look one up.
PORTS = (Port(name="http", port=80),)


class _ServiceMetadata(Struct, frozen=True, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


class _ServiceSpec(Struct, frozen=True, rename="camel"):
    type: str = ""
    external_name: str | None = None
    ports: tuple[Port, ...] | None = None


class _Manifest(Struct, frozen=True):
    metadata: _ServiceMetadata = _ServiceMetadata()
    spec: _ServiceSpec = _ServiceSpec()


class HeldService(Struct, frozen=True, kw_only=True):
    """A Service as the API server has it, as far as it matters here. `labels`: ours alone, others may be megabytes."""

    key: ServiceKey
    uid: str
    resource_version: str
    labels: dict[str, str] = field(default_factory=dict)
    owners: tuple[OwnerReference, ...] = ()
    type: str = ""
    external_name: str = ""
    ports: tuple[Port, ...] = ()
    deleting: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """POST of `body`."""

    key: ServiceKey
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch (RFC 7396) of what differs; it names uid and resourceVersion of what was looked at."""

    key: ServiceKey
    patch: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Remove:
    """DELETE of exactly this Service in exactly this version."""

    held: HeldService


ServiceAction = Create | Change | Remove


def decode_service(raw: bytes | msgspec.Raw) -> HeldService:
    """JSON of a Service -> what is held of it. Annotations are never read: they may quote anything."""
    manifest = msgspec.json.decode(raw, type=_Manifest)
    metadata, spec = manifest.metadata, manifest.spec
    return HeldService(
        key=ServiceKey(metadata.namespace, metadata.name),
        uid=metadata.uid,
        resource_version=metadata.resource_version,
        labels={name: value for name, value in (metadata.labels or {}).items() if name in _OUR_LABELS},
        owners=metadata.owner_references or (),
        type=spec.type,
        external_name=spec.external_name or "",
        ports=spec.ports or (),
        deleting=metadata.deletion_timestamp is not None,
    )


def service_key(connector: Connector) -> ServiceKey:
    """The Service of a Connector."""
    return ServiceKey(connector.metadata.namespace, service_name(connector.metadata.name))


def is_owned(held: HeldService, connector: Connector) -> bool:
    """Whether it is this Connector's. Only its uid decides, since any author can write a label (threat 26).

    Not where another object is its controller: there can be only one (ValidateOwnerReferences), so it is not ours.
    """
    own = _own_reference(held, connector)
    return own is not None and not any(owner.controller for owner in held.owners if owner is not own)


def is_named_by(held: HeldService, connector: Connector) -> bool:
    """Whether one of its ownerReferences is to this Connector; another object may be its controller all the same."""
    return _own_reference(held, connector) is not None


def is_of_former_life(held: HeldService, connector: Connector) -> bool:
    """Whether a former Connector of the same name controls it: garbage collection will remove it soon."""
    return any(
        owner.controller
        and owner.kind == KIND
        and owner.api_version.partition("/")[0] == GROUP
        and owner.name == connector.metadata.name
        and owner.uid != connector.metadata.uid
        for owner in held.owners
    )


def class_label(name: str) -> str:
    """A class's name as a label's value, which has 63 characters at most (Kubernetes "Labels and Selectors", syntax).

    A longer name keeps its beginning and gets eight digits of its SHA-256, so that two of them stay apart.
    """
    if _LABEL_VALUE.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    kept = re.sub(r"[^-A-Za-z0-9_.]", "", name)[:_KEPT_OF_LONG_NAME].strip("-_.")
    return f"{kept}-{digest}" if kept else digest


def required_action(connector: Connector, held: HeldService | None, external_name: str) -> ServiceAction | None:
    """What makes `held`, which is this Connector's or None, the Service it should be; None if it is."""
    if held is None:
        return Create(service_key(connector), _body(connector, external_name))
    patch = _difference(connector, held, external_name)
    if not patch:
        return None
    metadata = patch.setdefault("metadata", {})
    metadata |= {"uid": held.uid, "resourceVersion": held.resource_version}
    return Change(held.key, patch)


def _body(connector: Connector, external_name: str) -> dict[str, Any]:
    key = service_key(connector)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": _labels(connector),
            "ownerReferences": [msgspec.to_builtins(_reference(connector, OwnerReference()))],
        },
        "spec": {"type": EXTERNAL_NAME, "externalName": external_name, "ports": msgspec.to_builtins(list(PORTS))},
    }


def _difference(connector: Connector, held: HeldService, external_name: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    if labels := {name: value for name, value in _labels(connector).items() if held.labels.get(name) != value}:
        metadata["labels"] = labels
    own = _own_reference(held, connector) or OwnerReference()
    if own != (wanted := _reference(connector, own)):
        # A merge patch replaces a list whole, so the others' references go along.
        owners = tuple(wanted if owner is own else owner for owner in held.owners)
        metadata["ownerReferences"] = msgspec.to_builtins(list(owners))
    if held.type != EXTERNAL_NAME:
        # An address of the cluster is not allowed beside an externalName (ValidateService).
        spec |= {"type": EXTERNAL_NAME, "clusterIP": None, "clusterIPs": None}
    if held.type != EXTERNAL_NAME or held.external_name != external_name:
        spec["externalName"] = external_name
    if held.ports != PORTS:
        spec["ports"] = msgspec.to_builtins(list(PORTS))
    return ({"metadata": metadata} if metadata else {}) | ({"spec": spec} if spec else {})


def _labels(connector: Connector) -> dict[str, str]:
    return {CLASS_LABEL: class_label(connector.spec.connector_class_name), MANAGED_BY_LABEL: COMPONENT}


def _own_reference(held: HeldService, connector: Connector) -> OwnerReference | None:
    uid = connector.metadata.uid
    return next((owner for owner in held.owners if uid and owner.uid == uid), None)


def _reference(connector: Connector, own: OwnerReference) -> OwnerReference:
    """No blockOwnerDeletion: to set it takes rights on the Connector's finalizers on some platforms."""
    return msgspec.structs.replace(
        own,
        api_version=API_VERSION,
        kind=KIND,
        name=connector.metadata.name,
        uid=connector.metadata.uid,
        controller=True,
    )
