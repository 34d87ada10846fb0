"""Where a class's proxy or API is: its spec's ref and uri -> an address (Knative's Destination rules). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from connectors.objects.connector_class import ClassApi, ClassProxy, ServiceReference
from connectors.rules.values import check_destination, is_absolute


class ServiceKey(NamedTuple):
    """A Service by name."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Platform:
    """What names mean in this cluster: where the system runs, its DNS domain, and its proxy's Service."""

    namespace: str = "connectors-system"
    cluster_domain: str = "cluster.local"
    proxy_service: str = "connectors-proxy-service"

    @property
    def proxy(self) -> ServiceKey:
        """The Service of the built-in proxy: what a class with an empty spec.proxy means."""
        return ServiceKey(self.namespace, self.proxy_service)

    def host(self, service: ServiceKey) -> str:
        """The DNS name of a Service (Kubernetes DNS-based service discovery, section 2.3)."""
        return f"{service.name}.{service.namespace}.svc.{self.cluster_domain}"


@dataclass(frozen=True, slots=True)
class Behind:
    """Behind a Service of this cluster. `path` is what a relative uri adds: empty, or it begins with a slash."""

    service: ServiceKey
    url: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class External:
    """At an address of its own."""

    url: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """Nowhere: the spec breaks a rule, which connectors/rules/connector_class.py names too."""

    message: str


Destination = Behind | External | Unusable


def proxy_destination(proxy: ClassProxy, platform: Platform) -> Destination:
    """Where spec.proxy leads. Neither ref nor uri, or a relative uri alone, means the built-in proxy."""
    return _destination(proxy.ref, proxy.uri, platform, platform.proxy)


def api_destination(api: ClassApi, platform: Platform) -> Destination | None:
    """Where spec.api leads, None where it names nothing."""
    if api.ref is None and not api.uri:
        return None
    return _destination(api.ref, api.uri, platform, None)


def _destination(ref: ServiceReference | None, uri: str, platform: Platform, default: ServiceKey | None) -> Destination:
    """An absolute uri without ref stands for itself; a relative one is appended to the Service's address."""
    for violation in check_destination("", ref, uri):
        return Unusable(f"{violation.path.removeprefix('.')} {violation.message}")
    if is_absolute(uri):
        return External(uri)
    service = default if ref is None else ServiceKey(ref.namespace or platform.namespace, ref.name)
    if service is None:
        return Unusable("uri is a path, but there is no ref; name the Service that it belongs to")
    path = uri.rstrip("/")
    return Behind(service, f"http://{platform.host(service)}{path}", path)
