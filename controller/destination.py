"""Where a class's proxy or API is: its spec's ref and uri -> an address (Knative's Destination rules). Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from connectors.judgement import Judgement
from connectors.kube.settings import ClusterNames
from connectors.objects.conditions import Condition, ConditionStatus, ConditionType
from connectors.objects.connector import Connector
from connectors.objects.connector_class import ClassApi, ClassProxy, Resolver, ServiceReference
from connectors.objects.names import proxy_host, service_name
from connectors.objects.reasons import ConditionReason
from connectors.rules.values import is_absolute, validate_destination
from controller.conditions import false, true, unknown
from controller.service import (
    HeldService,
    Remove,
    ServiceAction,
    ServiceKey,
    is_named_by,
    is_of_former_life,
    is_owned,
    required_action,
)


@dataclass(frozen=True, slots=True)
class Platform(ClusterNames):
    """How names are resolved in this cluster, and which Services they mean."""

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
    """Where spec.api leads, None if it names nothing."""
    if api.ref is None and not api.uri:
        return None
    return _destination(api.ref, api.uri, platform, None)


# A reconcile asks this for its class each time: what a spec means is worked out once.
@lru_cache(maxsize=1024)
def _destination(ref: ServiceReference | None, uri: str, platform: Platform, default: ServiceKey | None) -> Destination:
    """An absolute uri without ref stands for itself; a relative one is appended to the Service's address."""
    for violation in validate_destination("", ref, uri):
        return Unusable(f"{violation.path.removeprefix('.')} {violation.message}")
    if is_absolute(uri):
        return External(uri)
    service = default if ref is None else ServiceKey(ref.namespace or platform.namespace, ref.name)
    if service is None:
        return Unusable("uri is a path, but there is no ref; name the Service that it belongs to")
    path = uri.rstrip("/")
    return Behind(service, f"http://{platform.host(service)}{path}", path)


_KIND = ConditionType.PROXY_SERVICE_READY


@dataclass(frozen=True, slots=True)
class LocalProxy:
    """One process serves every Connector, and there are no Services. `url`: the host form, without a path."""

    url: str


@dataclass(frozen=True, slots=True)
class ClusterProxy:
    """A cluster: `service` is the Service c-NAME as it is now, `backend` whether the Service that it leads to exists.

    `problem`: why the API server refused what the last plan wanted of the Service; empty if it did not.
    """

    platform: Platform
    service: HeldService | None = None
    backend: bool = False
    problem: str = ""


Proxy = LocalProxy | ClusterProxy


@dataclass(frozen=True, slots=True)
class Allocation:
    """The condition ProxyServiceReady, the address if there is one, and what is to be done to the Service."""

    condition: Condition
    url: str | None = None
    action: ServiceAction | None = None


def allocate(judgement: Judgement, proxy: Proxy) -> Allocation:
    """What is true of the proxy address now, and what is to be done about it. The class must be known."""
    found = _allocated(judgement, proxy)
    if judgement.not_injected and found.condition.status is ConditionStatus.TRUE:
        # The address is there, and all requests to it are refused.
        return replace(found, condition=false(_KIND, ConditionReason.INJECTION_NOT_SUPPORTED, judgement.not_injected))
    return found


def _allocated(judgement: Judgement, proxy: Proxy) -> Allocation:
    wanted = judgement.connector_class.spec.proxy if judgement.connector_class else None
    if isinstance(proxy, LocalProxy):
        if wanted is None:
            return Allocation(true(_KIND, ConditionReason.NON_PROXY))
        return Allocation(true(_KIND), proxy.url + _suffix(judgement))
    if wanted is None:
        return Allocation(true(_KIND, ConditionReason.NON_PROXY), action=_removal(judgement, proxy))
    return _in_cluster(judgement, wanted, proxy)


def _in_cluster(judgement: Judgement, wanted: ClassProxy, proxy: ClusterProxy) -> Allocation:
    destination = proxy_destination(wanted, proxy.platform)
    if isinstance(destination, Unusable):
        message = f"the class's spec.proxy cannot be used: {destination.message}"
        return Allocation(unknown(_KIND, ConditionReason.CONNECTOR_CLASS_INVALID, message))
    if isinstance(destination, External):
        url = destination.url.rstrip("/") + _suffix(judgement) if _suffix(judgement) else destination.url
        return Allocation(true(_KIND), url, _removal(judgement, proxy))
    # What cannot name a Service is never asked of the API server.
    if unnamable := [item for item in judgement.fatal if item.path.startswith("metadata.")]:
        return Allocation(unknown(_KIND, ConditionReason.CONNECTOR_INVALID, f"not judged: {unnamable[0]}"))
    return _behind(judgement, destination, proxy)


def _behind(judgement: Judgement, destination: Behind, proxy: ClusterProxy) -> Allocation:
    connector, held = judgement.connector, proxy.service
    name = service_name(connector.metadata.name)
    if held is not None and not is_owned(held, connector):
        return _of_another(connector, held, proxy)
    if held is not None and held.deleting:
        return Allocation(_pending(f"Service {name} is being deleted; it is made again once it is gone"))
    action = required_action(connector, held, proxy.platform.host(destination.service))
    url = f"http://{proxy_host(connector.key, f'svc.{proxy.platform.cluster_domain}')}{destination.path}"
    url += _suffix(judgement)
    if action is not None:
        doing = "being made" if held is None else "not as it should be; it is being put right"
        return Allocation(_failed(name, proxy) or _pending(f"Service {name} is {doing}"), url if held else None, action)
    if not proxy.backend:
        backend = destination.service
        message = f"Service {backend.name} not found in namespace {backend.namespace}"
        return Allocation(false(_KIND, ConditionReason.PROXY_SERVICE_NOT_FOUND, message), url)
    return Allocation(true(_KIND), url)


def _of_another(connector: Connector, held: HeldService, proxy: ClusterProxy) -> Allocation:
    """Give no address: it would send callers, with their tokens, to the owner of that Service (threat 26)."""
    if is_of_former_life(held, connector):
        action = None if held.deleting else Remove(held)
        condition = _pending(f"Service {held.key.name} is a former Connector's; it is made again once it is gone")
        return Allocation(_failed(held.key.name, proxy) or condition, action=action)
    whose = "has another object as its controller" if is_named_by(held, connector) else "is not this Connector's"
    message = (
        f"Service {held.key.name} in namespace {held.key.namespace} {whose};"
        " delete or rename it, or rename the Connector"
    )
    return Allocation(false(_KIND, ConditionReason.PROXY_SERVICE_CONFLICT, message))


def _removal(judgement: Judgement, proxy: ClusterProxy) -> Remove | None:
    """The removal of our Service, if the class has no proxy. A class that cannot be read does not say so."""
    held = proxy.service
    of_class = any(item.path == "spec.connectorClassName" for item in judgement.fatal)
    if held is None or held.deleting or of_class or not is_owned(held, judgement.connector):
        return None
    return Remove(held)


def _suffix(judgement: Judgement) -> str:
    if judgement.connector_class is None or judgement.connector_class.resolver is not Resolver.PATH:
        return ""
    key = judgement.connector.key
    return f"/namespaces/{key.namespace}/connectors/{key.name}"


def _pending(message: str) -> Condition:
    return unknown(_KIND, ConditionReason.PROXY_SERVICE_PENDING, message)


def _failed(name: str, proxy: ClusterProxy) -> Condition | None:
    if not proxy.problem:
        return None
    return false(_KIND, ConditionReason.PROXY_SERVICE_FAILED, f"Service {name}: {proxy.problem}")
