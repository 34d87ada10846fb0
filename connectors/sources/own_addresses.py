"""Where this installation's own pods and Services listen: no Connector leads there (threat 35).

Its pods are not known by names: a Connector may name the IP address of any of them, and the port.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain, product
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from connectors.kube.cache import Cache
from connectors.kube.client import KubeClient, Selector
from connectors.kube.errors import KubeError, NotFoundError
from connectors.kube.nesting import decode
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import ENDPOINT_SLICES, ENDPOINTS, SERVICES
from connectors.kube.settings import ClusterNames
from connectors.objects.addresses import TransportAddress
from connectors.process.backoff import Backoff
from connectors.process.clock import Clock

# Of an EndpointSlice, the Service that it is about (Kubernetes, "EndpointSlices").
_SERVICE_NAME = "kubernetes.io/service-name"
# Of all that deploy/ brings; a Service that an operator adds with `kubectl expose` has it too, and so have its slices.
_PART_OF = ("app.kubernetes.io/part-of", "connectors")


class _Metadata(Struct, frozen=True):
    name: str = ""
    # Go writes a nil map or slice as null.
    labels: dict[str, str] | None = None


class _Port(Struct, frozen=True):
    port: int | None = None


class _SliceEndpoint(Struct, frozen=True):
    addresses: list[str] | None = None


class _EndpointSlice(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    endpoints: list[_SliceEndpoint] | None = None
    ports: list[_Port] | None = None


class _SubsetAddress(Struct, frozen=True):
    ip: str = ""


class _Subset(Struct, frozen=True, rename="camel"):
    addresses: list[_SubsetAddress] | None = None
    not_ready_addresses: list[_SubsetAddress] | None = None
    ports: list[_Port] | None = None


class _Endpoints(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    subsets: list[_Subset] | None = None


class _ServiceSpec(Struct, frozen=True):
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    cluster_ips: list[str] | None = msgspec.field(default=None, name="clusterIPs")
    ports: list[_Port] | None = None


class _Service(Struct, frozen=True):
    metadata: _Metadata = _Metadata()
    spec: _ServiceSpec = _ServiceSpec()


_SLICE = msgspec.json.Decoder(_EndpointSlice)
_ENDPOINTS = msgspec.json.Decoder(_Endpoints)
_SERVICE = msgspec.json.Decoder(_Service)


class _Found(NamedTuple):
    """What one object says; nothing, if it is not about this installation."""

    ips: frozenset[str] = frozenset()
    ports: frozenset[int] = frozenset()


class OwnAddresses:
    """Follows the Services of the system namespace, and the EndpointSlices there, or Endpoints where those are unknown.

    Pods count whether they are ready or not: one that is not serves its admin port all the same.
    """

    def __init__(
        self,
        client: KubeClient,
        names: ClusterNames,
        ports: Collection[int],
        clock: Clock,
        begins: Callable[[Reflector], None] = lambda _: None,
    ) -> None:
        """`ports`: on which pods of the installation listen, beside those that their Services name.

        `begins` is called with each reflector: which of them are needed shows when the API server is asked.
        """
        self._client = client
        self._clock = clock
        self._names = names.own_service_names
        self._ports = frozenset(ports)
        self._current: frozenset[TransportAddress] = frozenset()
        self._tell: list[Callable[[], None]] = []
        self._begins = begins
        self._slices = Cache(self._slice, self._changed)
        self._endpoints = Cache(self._endpoint, self._changed)
        self._services = Cache(self._service, self._changed)
        self._selector = Selector(names.namespace)

    @property
    def current(self) -> frozenset[TransportAddress]:
        """All of them now."""
        return self._current

    @property
    def synced(self) -> bool:
        """Whether all of them were listed once."""
        return self._services.synced and (self._slices.synced or self._endpoints.synced)

    def subscribe(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever `current` has changed."""
        self._tell.append(tell)

    async def run(self) -> None:
        """Follow the API server until cancelled. A Role that lacks the right to it is no end: it is asked again."""
        services = Reflector(self._client, Watched(SERVICES, self._selector), self._services, self._clock)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._run(services))
            tasks.create_task(self._run_pods())

    async def _run_pods(self) -> None:
        await self._run(await self._of_pods())

    async def _run(self, reflector: Reflector) -> None:
        self._begins(reflector)
        await reflector.run()

    async def _of_pods(self) -> Reflector:
        """EndpointSlices, which know both address families; Endpoints where the API server (1.20) has none of those."""
        backoff = Backoff()
        while True:
            try:
                await self._client.list_page(ENDPOINT_SLICES, self._selector, limit=1)
            except NotFoundError:
                return Reflector(self._client, Watched(ENDPOINTS, self._selector), self._endpoints, self._clock)
            except KubeError:
                # Without the right to it, it is not even known whether there are any. The source says what is lacking.
                await self._clock.sleep(backoff.next())
            else:
                return Reflector(self._client, Watched(ENDPOINT_SLICES, self._selector), self._slices, self._clock)

    def _changed(self, _: str) -> None:
        found = frozenset(chain(self._of_all_pods(), self._of_services()))
        if found != self._current:
            self._current = found
            for tell in self._tell:
                tell()

    def _of_all_pods(self) -> Iterator[TransportAddress]:
        """Every port of every pod's: no object says which pod has an admin port, or that it is another one there."""
        pods = (*self._slices.items.values(), *self._endpoints.items.values())
        ports = self._ports.union(*(found.ports for found in pods))
        return product(frozenset[str]().union(*(found.ips for found in pods)), ports)

    def _of_services(self) -> Iterator[TransportAddress]:
        return chain.from_iterable(product(found.ips, found.ports) for found in self._services.items.values())

    def _slice(self, raw: Raw) -> tuple[str, _Found]:
        item = decode(raw, _SLICE)
        labels = item.metadata.labels or {}
        ips = chain.from_iterable(endpoint.addresses or () for endpoint in item.endpoints or ())
        return item.metadata.name, self._found(labels.get(_SERVICE_NAME, ""), labels, ips, item.ports)

    def _endpoint(self, raw: Raw) -> tuple[str, _Found]:
        item = decode(raw, _ENDPOINTS)
        subsets = item.subsets or ()
        ips = (one.ip for subset in subsets for one in (*(subset.addresses or ()), *(subset.not_ready_addresses or ())))
        ports = [port for subset in subsets for port in subset.ports or ()]
        return item.metadata.name, self._found(item.metadata.name, item.metadata.labels or {}, ips, ports)

    def _service(self, raw: Raw) -> tuple[str, _Found]:
        item = decode(raw, _SERVICE)
        # A headless Service has "None" there.
        ips = (item.spec.cluster_ip or "", *(item.spec.cluster_ips or ()))
        return item.metadata.name, self._found(item.metadata.name, item.metadata.labels or {}, ips, item.spec.ports)

    def _found(self, service: str, labels: dict[str, str], ips: Iterable[str], ports: Iterable[_Port] | None) -> _Found:
        if service not in self._names and labels.get(_PART_OF[0]) != _PART_OF[1]:
            return _Found()
        return _Found(
            frozenset(filter(None, map(_usual, ips))), frozenset(item.port for item in ports or () if item.port)
        )


def _usual(ip: str) -> str:
    """An address in its usual form; empty for what is none, such as a host's name."""
    try:
        return str(ipaddress.ip_address(ip))
    except ValueError:
        return ""
