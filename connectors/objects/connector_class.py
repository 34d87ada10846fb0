"""ConnectorClass: what kind of tool a Connector points at, as a frozen value (connectors.alauda.io/v1alpha1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field

from connectors.objects.metadata import ObjectMeta

RESOLVER_ANNOTATION = "connectors.cpaas.io/proxy-resolver"
# The class of Kubernetes API servers (connectors/classes/k8s.yaml).
_KUBERNETES = "k8s"


class Resolver(StrEnum):
    """How a Connector's proxy address is formed: by host alone, or by host and path."""

    HOST = "host"
    PATH = "path"


class ParameterSpec(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A declared parameter, address or address extension. No `default` means that a Connector must give it."""

    name: str = ""
    type: str = "string"
    description: str = ""
    default: Any | UnsetType = UNSET
    enum: tuple[str, ...] = ()
    properties: dict[str, Any] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def required(self) -> bool:
        """True if the class gives no default."""
        return self.default is UNSET or self.default is None


class GeneratedField(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A header or query parameter to inject; `value` is a template (connectors/expressions)."""

    name: str = ""
    value: str = ""


class Generator(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """How a Secret of this authentication type becomes a credential on a request."""

    headers: tuple[GeneratedField, ...] = ()
    query: tuple[GeneratedField, ...] = ()
    rego: str = ""


class AuthType(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One way of authenticating to the tool; `optional` permits a Connector without a Secret."""

    name: str = ""
    display_name: str = ""
    description: str = ""
    optional: bool = False
    secret_type: str = ""
    params: tuple[ParameterSpec, ...] = ()
    generator: Generator | None = None
    annotations: dict[str, str] = field(default_factory=dict)


class ClassAuth(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """spec.auth of a class."""

    types: tuple[AuthType, ...] = ()


class ProbeHeader(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A request header of an HTTP probe; `value` is a template."""

    name: str = ""
    value: str = ""


class ProbeResponse(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """When a probe's answer counts as success, in CEL."""

    cel: str = ""


class HttpProbe(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A probe that sends one HTTP request to the tool."""

    path: str = ""
    host: str = ""
    scheme: str = ""
    method: str = "GET"
    disable_redirect: bool = False
    http_headers: tuple[ProbeHeader, ...] = ()
    response: ProbeResponse | None = None


class ApiProbe(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A probe that asks the class's own API."""

    path: str = ""


class Probe(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Exactly one of http and api; with neither, nothing is probed."""

    http: HttpProbe | None = None
    api: ApiProbe | None = None


class AuthProbe(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """How a credential of the authentication type `authName` is probed, and the parameters that the probe takes."""

    auth_name: str = ""
    params: tuple[ParameterSpec, ...] = ()
    probe: Probe | None = None


class ServiceReference(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A Knative KReference: the Service that a class's proxy or API runs behind."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    api_version: str = ""
    group: str = ""
    address: str = ""


class AuthExtractor(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """Where a caller's token may stand besides Authorization."""

    header: str = ""
    rego: str = ""


class ClassProxy(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """spec.proxy: its presence gives every Connector of the class a proxy address."""

    ref: ServiceReference | None = None
    uri: str = ""
    ca_certs: str = field(default="", name="CACerts")
    audience: str = ""
    auth_extractor: AuthExtractor | None = None


class Permissions(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """spec.api.permissions."""

    rego: str = ""


class ClassApi(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """spec.api: the class's own API, if it has one."""

    ref: ServiceReference | None = None
    uri: str = ""
    ca_certs: str = field(default="", name="CACerts")
    audience: str = ""
    openapi: Any = None
    permissions: Permissions | None = None


class Configuration(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """A client configuration that a class can render for a workload; read and kept, not rendered here."""

    name: str = ""
    data: dict[str, str] = field(default_factory=dict)
    params: tuple[ParameterSpec, ...] = ()
    annotations: dict[str, str] = field(default_factory=dict)


class ConnectorClassSpec(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """spec, field by field as the published documentation names them."""

    address: ParameterSpec | None = None
    address_extensions: tuple[ParameterSpec, ...] = ()
    params: tuple[ParameterSpec, ...] = ()
    auth: ClassAuth | None = None
    liveness_probe: Probe | None = None
    auth_probes: tuple[AuthProbe, ...] = ()
    proxy: ClassProxy | None = None
    api: ClassApi | None = None
    configurations: tuple[Configuration, ...] = ()


class ConnectorClass(Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One ConnectorClass (cluster-scoped)."""

    metadata: ObjectMeta = ObjectMeta()
    spec: ConnectorClassSpec = ConnectorClassSpec()

    @property
    def resolver(self) -> Resolver:
        """The proxy resolver of its annotation; `host` where it is absent or not known (a rule names the latter)."""
        path = self.metadata.annotations.get(RESOLVER_ANNOTATION) == Resolver.PATH.value
        return Resolver.PATH if path else Resolver.HOST

    @property
    def caller_header(self) -> bytes:
        """The header, in lower case, that may hold a caller's token beside Authorization; empty if there is none."""
        extractor = self.spec.proxy.auth_extractor if self.spec.proxy else None
        header = extractor.header.lower() if extractor else ""
        return b"" if header == "authorization" else header.encode()

    @property
    def bearer_protocol(self) -> bool:
        """Whether a caller's token may stand among the WebSocket protocols that are asked for.

        That is how browsers, which can set no Authorization on a WebSocket, send one to a Kubernetes API server.
        """
        return self.metadata.name == _KUBERNETES

    @property
    def auth_types(self) -> tuple[AuthType, ...]:
        """The authentication types it offers."""
        return self.spec.auth.types if self.spec.auth else ()

    def auth_type(self, name: str) -> AuthType | None:
        """The authentication type of that name."""
        return next((kind for kind in self.auth_types if kind.name == name), None)

    def auth_probe(self, auth_name: str) -> AuthProbe | None:
        """The authentication probe for the authentication type of that name."""
        return next((probe for probe in self.spec.auth_probes if probe.auth_name == auth_name), None)
