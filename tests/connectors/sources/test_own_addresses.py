"""Where the installation itself listens, from a fake API server's EndpointSlices or Endpoints, and Services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.reflector import Reflector
from connectors.kube.resources import ENDPOINT_SLICES
from connectors.kube.settings import ClusterNames
from connectors.process.clock import SystemClock
from connectors.sources.own_addresses import OwnAddresses
from tests.peers.fake_api_server import FakeApiServer

SYSTEM = "connectors-system"
PROXY = "connectors-proxy-service"
PART_OF = {"app.kubernetes.io/part-of": "connectors"}


def metadata(name: str, namespace: str = SYSTEM, **labels: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "labels": {key.replace("__", "/"): it for key, it in labels.items()}}


def endpoint_slice(name: str, *ips: str, service: str = PROXY, port: int | None = 8080, **also: Any) -> dict[str, Any]:
    made = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata(name), "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": False}} for ip in ips],
        "ports": [{"name": "http", "port": port}],
    }
    return made | also


def endpoints(name: str, *subsets: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata(name, **labels), "subsets": list(subsets)}


def service(name: str, *ips: str, port: int = 80, labels: dict[str, str] | None = None) -> dict[str, Any]:
    spec = {"clusterIP": ips[0], "clusterIPs": list(ips), "ports": [{"port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {**metadata(name), "labels": labels}, "spec": spec}


class Following:
    """Own addresses that are followed, and when they have changed."""

    def __init__(self, client: KubeClient) -> None:
        self.reflectors: list[Reflector] = []
        self.own = OwnAddresses(client, ClusterNames(), {8081}, SystemClock(), self.reflectors.append)
        self._news = asyncio.Event()
        self.own.subscribe(self._news.set)

    async def until(self, true: Callable[[frozenset[tuple[str, int]]], bool]) -> None:
        async with asyncio.timeout(5):
            while not true(self.own.current):
                self._news.clear()
                await self._news.wait()

    async def are(self, *wanted: tuple[str, int]) -> None:
        await self.until(lambda current: current == frozenset(wanted))


@pytest.fixture
async def following(server: FakeApiServer, tmp_path: Path) -> AsyncIterator[Following]:
    client = KubeClient(Access(server.kubeconfig(tmp_path)))
    await client.start()
    made = Following(client)
    running = asyncio.create_task(made.own.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await client.close()


async def test_t35_each_pod_counts_ready_or_not_with_every_port_of_the_installation(
    server: FakeApiServer, following: Following
) -> None:
    server.put(endpoint_slice("proxy-1", "10.0.0.1", "10.0.0.2"))
    six = endpoint_slice("webhook-6", "FD00:0::1", service="connectors-webhook-service", port=9443, addressType="IPv6")
    server.put(six)
    await following.are(*((ip, port) for ip in ("10.0.0.1", "10.0.0.2", "fd00::1") for port in (8080, 8081, 9443)))
    # A pod goes, and another one comes.
    server.put(endpoint_slice("proxy-1", "10.0.0.2", "10.0.0.3"))
    await following.until(lambda current: ("10.0.0.3", 8081) in current and ("10.0.0.1", 8081) not in current)
    server.remove(ENDPOINT_SLICES, "webhook-6", SYSTEM)
    await following.are(*((ip, port) for ip in ("10.0.0.2", "10.0.0.3") for port in (8080, 8081)))


async def test_t35_addresses_of_services_count_with_their_own_ports(
    server: FakeApiServer, following: Following
) -> None:
    server.put(service(PROXY, "10.96.0.7", "fd00:96::7"))
    server.put(service("connectors-proxy-metrics", "None"))
    server.put(service("other", "10.96.0.8"))
    await following.are(("10.96.0.7", 80), ("fd00:96::7", 80))


async def test_what_others_have_in_the_namespace_does_not_count(server: FakeApiServer, following: Following) -> None:
    server.put(endpoint_slice("tool-1", "10.0.0.9", service="tool"))
    odd = endpoint_slice("proxy-1", "10.0.0.1", "no-address", port=None)
    odd["endpoints"].append({"addresses": None})
    server.put(odd)
    server.put(endpoint_slice("proxy-2", ports=None, endpoints=None))
    elsewhere = endpoint_slice("proxy-3", "10.0.0.8")
    elsewhere["metadata"]["namespace"] = "team"
    server.put(elsewhere)
    # A Service that an operator has added for the same pods.
    server.put(service("balanced", "10.96.0.9", port=8443, labels=PART_OF))
    await following.are(("10.0.0.1", 8081), ("10.96.0.9", 8443))


async def test_t35_endpoints_count_where_there_are_no_endpoint_slices(
    server: FakeApiServer, following: Following
) -> None:
    server.absent.add("endpointslices")
    ready = {"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 8080}]}
    late = {"notReadyAddresses": [{"ip": "10.0.0.2"}], "ports": [{"port": 8080}]}
    server.put(endpoints(PROXY, ready, late))
    server.put(endpoints("tool", {"addresses": [{"ip": "10.0.0.9"}]}))
    await following.are(*((ip, port) for ip in ("10.0.0.1", "10.0.0.2") for port in (8080, 8081)))
    assert following.own.synced
    assert {str(reflector.watched) for reflector in following.reflectors} == {
        "services in connectors-system",
        "endpoints in connectors-system",
    }


async def test_a_role_that_comes_later_is_noticed(server: FakeApiServer, following: Following) -> None:
    server.forbidden.add("/apis/discovery.k8s.io")
    server.put(endpoint_slice("proxy-1", "10.0.0.1"))
    server.put(service(PROXY, "10.96.0.7"))
    await following.are(("10.96.0.7", 80))
    assert not following.own.synced
    server.forbidden.clear()
    await following.until(lambda current: ("10.0.0.1", 8081) in current)
    assert following.own.synced
