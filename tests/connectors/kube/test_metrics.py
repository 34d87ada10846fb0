from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from connectors.kube.metrics import KubeMetrics
from connectors.kube.reflector import Reflector, Watched
from connectors.kube.resources import CONNECTORS, SECRETS
from tests.connectors.kube.weather import HurriedClock, WrittenDown, running
from tests.peers.clock import FakeClock
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.manifests import stored_secret


def test_the_names_of_the_contract() -> None:
    registry = CollectorRegistry()
    KubeMetrics(registry, "connectors_controller", KubeClient(Access()))
    text = generate_latest(registry).decode()
    types = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}
    assert types == {
        "connectors_controller_kube_requests_total": "counter",
        "connectors_controller_watch_connected": "gauge",
        "connectors_controller_watch_disconnected_seconds": "gauge",
        "connectors_controller_watch_restarts_total": "counter",
    }


async def test_requests_and_watches(server: FakeApiServer, client: KubeClient) -> None:
    registry = CollectorRegistry()
    clock = FakeClock()
    sink = WrittenDown()
    up = Reflector(client, Watched(CONNECTORS), sink, HurriedClock())
    down = [Reflector(client, Watched(SECRETS), sink, clock) for _ in range(2)]
    metrics = KubeMetrics(registry, "connectors_proxy", client, [up, down[0]])
    metrics.follow(down[1])
    async with running(up.run()):
        await server.watching()
        server.cut_watches()
        await server.asked(lambda asked: asked.watch, 2)
        server.put({"apiVersion": CONNECTORS.api_version, "kind": "Connector", "metadata": {"name": "a"}})
        await sink.until(lambda: "a" in sink.present)
        await clock.advance(7)

        def sample(name: str, **labels: str) -> float | None:
            return registry.get_sample_value(f"connectors_proxy_{name}", labels)

        assert sample("kube_requests_total", verb="list", resource="connectors", code="200") == 1
        assert sample("kube_requests_total", verb="watch", resource="connectors", code="200") == 2
        assert sample("watch_connected", resource="connectors") == 1
        assert sample("watch_connected", resource="secrets") == 0
        assert sample("watch_disconnected_seconds", resource="connectors") == 0
        assert sample("watch_disconnected_seconds", resource="secrets") == 7
        assert sample("watch_restarts_total", resource="connectors") == 1
        assert sample("watch_restarts_total", resource="secrets") == 0


async def test_the_worst_of_two_watches_on_one_resource_counts(server: FakeApiServer, client: KubeClient) -> None:
    registry = CollectorRegistry()
    sink = WrittenDown()
    up, down = (Reflector(client, Watched(SECRETS), sink, HurriedClock()) for _ in range(2))
    KubeMetrics(registry, "connectors_proxy", client, [up, down])
    async with running(up.run()):
        await server.watching()
        server.put(stored_secret("a"))
        await sink.until(lambda: "a" in sink.present)
        assert up.health.connected
        assert registry.get_sample_value("connectors_proxy_watch_connected", {"resource": "secrets"}) == 0
