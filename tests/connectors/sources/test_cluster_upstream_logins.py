"""The credentials of upstream proxies, where they are in the cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.kube.resources import SECRETS
from connectors.snapshot import Snapshot
from tests.connectors.sources.following import KEY, SYSTEM, Follow, a_class, a_connector, a_secret
from tests.peers.fake_api_server import FakeApiServer

PROXIES = parse_upstream_proxies("http://proxy.example:3128,lab=http://lab.example")
ANNOTATION = "connectors.cpaas.io/upstream-proxy"


def login(snapshot: Snapshot) -> bytes | None:
    """What requests of the one Connector are sent through with."""
    proxy = snapshot.plans[KEY].targets[""].proxy
    assert snapshot.judgements[KEY].egress.proxy is proxy
    return proxy.login.reveal() if proxy and proxy.login else None


async def test_t07_a_secret_of_the_system_namespace_alone_counts(server: FakeApiServer, follow: Follow) -> None:
    server.put(a_class())
    server.put(a_connector())
    server.put(a_secret("login", "team", b"tenant"))
    followed = follow(egress=EgressSettings(PROXIES, secrets=(("default", "login"),)))
    first = await followed.until(lambda now: KEY in now.plans)
    assert login(first) is None
    server.put(a_secret("login", SYSTEM, b"one"))
    await followed.until(lambda now: login(now) == b"u:one")
    server.put(a_secret("login", SYSTEM, b"two"))
    await followed.until(lambda now: login(now) == b"u:two")
    server.put(a_secret("other", SYSTEM, b"three"))
    server.put(a_secret("login", "team", b"four"))
    server.remove(SECRETS, "login", SYSTEM)
    await followed.until(lambda now: login(now) is None)
    asked = [request.path for request in server.requests if "login" in request.path]
    assert not [path for path in asked if f"/namespaces/{SYSTEM}/" not in path and "team" in path]


async def test_a_file_counts_in_a_cluster_too(server: FakeApiServer, follow: Follow, tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_bytes(b"u:one")
    server.put(a_class())
    server.put(a_connector())
    followed = follow(egress=EgressSettings(PROXIES, (("default", str(file)),)))
    await followed.until(lambda now: KEY in now.plans and login(now) == b"u:one")
    await asyncio.to_thread(file.write_bytes, b"u:two")
    await followed.until(lambda now: login(now) == b"u:two")


async def test_the_annotation_arrives_and_changes(server: FakeApiServer, follow: Follow) -> None:
    def named(now: Snapshot) -> str | None:
        egress = now.judgements[KEY].egress
        return egress.proxy.name if egress.proxy else None

    made = a_connector()
    server.put(a_class())
    server.put(made)
    followed = follow(egress=EgressSettings(PROXIES))
    await followed.until(lambda now: KEY in now.judgements and named(now) == "default")
    made["metadata"]["annotations"] = {ANNOTATION: "lab", "other": "x"}
    server.put(made)
    await followed.until(lambda now: named(now) == "lab")
    made["metadata"]["annotations"] = {ANNOTATION: "none"}
    server.put(made)
    await followed.until(lambda now: named(now) is None)
