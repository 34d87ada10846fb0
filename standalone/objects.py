"""What the admin port serves and `connectors get` reads: objects and lists in the API server's own shapes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus

import msgspec
from msgspec import Struct, field

from connectors.objects.conditions import ConnectorClassStatus, ConnectorStatus
from connectors.objects.connector import Connector, ConnectorSpec, NamedValue
from connectors.objects.connector_class import ConnectorClass, ConnectorClassSpec
from connectors.objects.metadata import API_VERSION, GROUP, ObjectMeta
from connectors.objects.secret import REDACTED

BASE = f"/apis/{API_VERSION}"


class ListMeta(Struct, frozen=True, rename="camel", kw_only=True):
    """metav1.ListMeta."""

    resource_version: str = ""


class ConnectorObject(Struct, frozen=True, rename="camel", kw_only=True):
    """A Connector with its status."""

    api_version: str = API_VERSION
    kind: str = "Connector"
    metadata: ObjectMeta
    spec: ConnectorSpec
    status: ConnectorStatus


class ConnectorList(Struct, frozen=True, rename="camel", kw_only=True):
    """Connectors of one namespace or of all."""

    api_version: str = API_VERSION
    kind: str = "ConnectorList"
    metadata: ListMeta
    items: tuple[ConnectorObject, ...]


class ConnectorClassObject(Struct, frozen=True, rename="camel", kw_only=True):
    """A ConnectorClass with its status."""

    api_version: str = API_VERSION
    kind: str = "ConnectorClass"
    metadata: ObjectMeta
    spec: ConnectorClassSpec
    status: ConnectorClassStatus


class ConnectorClassList(Struct, frozen=True, rename="camel", kw_only=True):
    """All ConnectorClasses."""

    api_version: str = API_VERSION
    kind: str = "ConnectorClassList"
    metadata: ListMeta
    items: tuple[ConnectorClassObject, ...]


class StatusDetails(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """metav1.StatusDetails."""

    name: str = ""
    group: str = ""
    kind: str = ""


class ApiFailure(Struct, frozen=True, rename="camel", kw_only=True):
    """metav1.Status of a request that failed."""

    kind: str = "Status"
    api_version: str = "v1"
    metadata: dict[str, str] = field(default_factory=dict)
    status: str = "Failure"
    message: str
    reason: str
    details: StatusDetails = StatusDetails()
    code: int


def connector_object(connector: Connector, status: ConnectorStatus) -> ConnectorObject:
    """One Connector as it is served."""
    return ConnectorObject(metadata=connector.metadata, spec=_shown(connector.spec), status=status)


def connector_list(items: Iterable[ConnectorObject], generation: int) -> ConnectorList:
    """Connectors in the order of namespace and name; `generation` is the snapshot's."""
    ordered = sorted(items, key=lambda item: (item.metadata.namespace, item.metadata.name))
    return ConnectorList(metadata=ListMeta(resource_version=str(generation)), items=tuple(ordered))


def connector_class_object(connector_class: ConnectorClass, status: ConnectorClassStatus) -> ConnectorClassObject:
    """One ConnectorClass as it is served."""
    return ConnectorClassObject(metadata=connector_class.metadata, spec=connector_class.spec, status=status)


def connector_class_list(items: Iterable[ConnectorClassObject], generation: int) -> ConnectorClassList:
    """ConnectorClasses in the order of their names; `generation` is the snapshot's."""
    ordered = sorted(items, key=lambda item: item.metadata.name)
    return ConnectorClassList(metadata=ListMeta(resource_version=str(generation)), items=tuple(ordered))


def not_found(resource: str, name: str) -> ApiFailure:
    """What the API server answers for a name that it does not know; `resource` is the plural."""
    return ApiFailure(
        message=f'{resource}.{GROUP} "{name}" not found',
        reason="NotFound",
        details=StatusDetails(name=name, group=GROUP, kind=resource),
        code=HTTPStatus.NOT_FOUND.value,
    )


def _shown(spec: ConnectorSpec) -> ConnectorSpec:
    """The spec without what a refused address may hold: a password before the host, a token in a query (threat 27)."""
    extensions = tuple(_shown_value(extension) for extension in spec.address_extensions)
    return msgspec.structs.replace(spec, address=_shown_address(spec.address), address_extensions=extensions)


def _shown_value(extension: NamedValue) -> NamedValue:
    if isinstance(extension.value, str):
        return NamedValue(extension.name, _shown_address(extension.value))
    return extension


_USERINFO = re.compile(r"^([^/?#]*//)?[^/?#]*@")
_QUERY = re.compile(r"([?#]).+$", re.DOTALL)


def _shown_address(address: str) -> str:
    without = _USERINFO.sub(lambda found: (found[1] or "") + REDACTED + "@", address)
    return _QUERY.sub(lambda found: found[1] + REDACTED, without)
