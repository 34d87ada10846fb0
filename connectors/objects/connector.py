"""Connector: the namespaced resource (docs/api.md), as a frozen value (connectors.alauda.io/v1alpha1)."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import force_setattr

from connectors.objects.metadata import ObjectMeta, shared

# Of a Connector or its class: the name of the upstream proxy to use, or `none`. The Connector's word goes first.
UPSTREAM_PROXY_ANNOTATION = "connectors.cpaas.io/upstream-proxy"


class ConnectorKey(NamedTuple):
    """What identifies a Connector while it exists."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


# gc=False in the values that come in thousands: what is decoded from JSON or YAML holds no cycles, and the collector
# would visit each of them again and again.
class NamedValue(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """An item of params[] or addressExtensions[]. The CRD lets `value` be anything; connectors/rules judges it."""

    name: str = ""
    value: Any = None


class SecretReference(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """core/v1 ObjectReference; only name and namespace carry meaning here."""

    name: str = ""
    namespace: str = ""
    api_version: str = ""
    kind: str = ""
    field_path: str = ""
    resource_version: str = ""
    uid: str = ""


class ConnectorAuth(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """spec.auth: which of the class's authentication types, with which Secret and probe parameters."""

    name: str = ""
    secret_ref: SecretReference | None = None
    params: tuple[NamedValue, ...] = ()

    def __post_init__(self) -> None:
        force_setattr(self, "name", shared(self.name))


class CaCertSecretRef(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """spec.caCertSecretRef: a Secret in the Connector's own namespace."""

    name: str = ""


class ConnectorSpec(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """spec, field by field (docs/api.md)."""

    connector_class_name: str = ""
    address: str = ""
    address_extensions: tuple[NamedValue, ...] = ()
    params: tuple[NamedValue, ...] = ()
    auth: ConnectorAuth | None = None
    ca_cert_secret_ref: CaCertSecretRef | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "connector_class_name", shared(self.connector_class_name))


class Connector(Struct, frozen=True, gc=False, rename="camel", omit_defaults=True, kw_only=True):
    """One Connector. Its status is derived (controller/plans/connector.py) and never read back from a manifest."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ConnectorSpec = ConnectorSpec()

    @property
    def key(self) -> ConnectorKey:
        """(namespace, name)."""
        return ConnectorKey(self.metadata.namespace, self.metadata.name)
