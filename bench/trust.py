"""How soon a change of CAs is in effect, and what pools of CAs cost: `make bench-trust`.

A proxy and a controller run against a real API server that holds many Connectors, which all trust the same CAs for all;
one more has a CA of its own. Each kind of change is made again and again, and the seconds are counted until a request,
and until the probe's condition, says so. Prints Markdown tables. Needs KUBEBUILDER_ASSETS and nginx.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import trustme

from bench.cluster import MIB, on_api_server
from connectors.tls.contexts import build_context
from connectors.tls.pool import SYSTEM_TLS
from connectors.trust import LABEL
from tests.cluster.installed import Cluster, condition
from tests.peers.api_server import ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy, start_controller
from tests.peers.crds import install_crds
from tests.peers.kubectl import Kubectl
from tests.peers.manifests import connector, connector_class
from tests.peers.nginx import start_nginx
from tests.peers.trust import pem, tls

TEAM, SYSTEM = "team", "connectors-system"
CONFIG = f"/api/v1/namespaces/{SYSTEM}/configmaps"
POLL = 0.005
TRUSTED, NOT = 200, 502
CONTEXTS = 50


@dataclass(frozen=True, slots=True)
class Scene:
    """Connector `one` to a tool of `authority`, among many."""

    cluster: Cluster
    proxy: ClusterProcess
    authority: trustme.CA

    async def took(self, status: int) -> tuple[float, float]:
        """Seconds until a request gets this status, and until the probe's condition says the same."""
        begun = time.perf_counter()
        live = "True" if status == TRUSTED else "False"
        host = {"Host": f"c-one.{TEAM}.svc"}
        async with aiohttp.ClientSession() as session:
            while await self._status(session, host) != status:  # noqa: ASYNC110 - what is polled is another process
                await asyncio.sleep(POLL)
        traffic = time.perf_counter() - begun
        await self.cluster.until("connectors", "one", lambda found: _live(found) == live, 30)
        return traffic, time.perf_counter() - begun

    async def _status(self, session: aiohttp.ClientSession, host: dict[str, str]) -> int:
        async with session.get(self.proxy.url, headers=host) as answer:
            return answer.status

    async def flag(self, on: bool) -> None:
        """The feature flag."""
        data = {"enable-custom-ca-certs": str(on).lower()}
        await self.cluster.ask("PATCH", f"{CONFIG}/connectors-config", {"data": data})

    async def secret(self, namespace: str, known: trustme.CA, label: str | None) -> None:
        """The CA of Secret `ca` in a namespace."""
        body = {"metadata": {"labels": {LABEL: label}}, "stringData": {"ca.crt": pem(known)}}
        await self.cluster.ask("PATCH", f"/api/v1/namespaces/{namespace}/secrets/ca", body)


def _live(found: dict[str, Any] | None) -> str:
    return str(condition(found, "LivenessReady").get("status"))


async def make(cluster: Cluster, tool: str, many: int) -> None:
    """Connectors, their class, both Secrets and the flags."""
    await asyncio.to_thread(install_crds, cluster.server)
    for name in (TEAM, SYSTEM):
        await asyncio.to_thread(cluster.server.create_namespace, name)
    metadata = {"name": "connectors-config"}
    await cluster.ask("POST", CONFIG, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    nobody = {"ca.crt": pem(trustme.CA())}
    for namespace in (TEAM, SYSTEM):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ca"}, "stringData": nobody}
        await cluster.ask("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    api = "/apis/connectors.alauda.io/v1alpha1"
    probed = connector_class("probed", livenessProbe={"http": {"path": "/"}})
    for kind in (probed, connector_class("quiet")):
        await cluster.ask("POST", f"{api}/connectorclasses", kind)
    items = [connector(f"tool-{number}", tool, "quiet", namespace=TEAM) for number in range(many)]
    items.append(connector("one", tool, "probed", namespace=TEAM, caCertSecretRef={"name": "ca"}))
    for item in items:
        await cluster.ask("POST", f"{api}/namespaces/{TEAM}/connectors", item)


async def measure(scene: Scene, rounds: int) -> list[str]:
    """Each change, that many times in both directions."""
    stranger = trustme.CA()
    rows = ["| change | traffic: median s | slowest s | probe: median s | slowest s |", "|---|--:|--:|--:|--:|"]

    async def repeat(name: str, change: Callable[[bool], Awaitable[None]]) -> None:
        seconds = []
        for number in range(2 * rounds):
            on = number % 2 == 0
            await change(on)
            seconds.append(await scene.took(TRUSTED if on else NOT))
        columns = [column for kind in zip(*seconds, strict=True) for column in (statistics.median(kind), max(kind))]
        rows.append(f"| {name} | " + " | ".join(f"{value:.2f}" for value in columns) + " |")

    async def own(on: bool) -> None:
        await scene.secret(TEAM, scene.authority if on else stranger, None)

    async def shared(on: bool) -> None:
        await scene.secret(SYSTEM, scene.authority if on else stranger, "true")

    async def label(on: bool) -> None:
        await scene.secret(SYSTEM, scene.authority, "true" if on else None)

    await scene.flag(True)
    await repeat("a Connector's own Secret changes", own)
    await repeat("a Secret for all changes", shared)
    await repeat("a Secret for all gets its label, loses it", label)
    await label(True)
    await scene.took(TRUSTED)
    await repeat("the flag flips", scene.flag)
    return rows


def cost() -> list[str]:
    """What a context costs, in this process."""
    known = [tls(trustme.CA()) for _ in range(CONTEXTS)]
    build_context(SYSTEM_TLS)
    before, begun = _resident(), time.perf_counter()
    kept = [build_context(one) for one in known]
    seconds = (time.perf_counter() - begun) / CONTEXTS
    size = (_resident() - before) / CONTEXTS / MIB
    count = len(kept[0].get_ca_certs())
    return [
        "| one pool of CAs | |", "|---|--:|", f"| certificates in it, the system's included | {count} |",
        f"| built, beside the event loop, in ms | {1000 * seconds:.0f} |", f"| MiB | {size:.1f} |",
    ]  # fmt: skip


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * 4096


async def _run(server: ApiServer, folder: Path, *, many: int, rounds: int) -> list[str]:
    authority = trustme.CA()
    async with AsyncExitStack() as exits:
        tool = await start_nginx(folder / "tool", "location / { return 200; }", tls=authority.issue_cert("localhost"))
        exits.push_async_callback(tool.child.stop)
        cluster = Cluster(server, Kubectl("kubectl", folder, server.kubeconfig), TEAM)
        await make(cluster, tool.address, many)
        controller = await start_controller(server.kubeconfig)
        exits.push_async_callback(controller.child.stop)
        proxy = await start_cluster_proxy(server.kubeconfig, "--client-auth", "none", "--access-log", "off")
        exits.push_async_callback(proxy.child.stop)
        scene = Scene(cluster, proxy, authority)
        await scene.took(NOT)
        return [*await measure(scene, rounds), "", *cost()]


def main() -> int:
    """Run it, and print the tables."""
    parser = argparse.ArgumentParser("python -m bench.trust", description=__doc__)
    parser.add_argument("--connectors", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    return on_api_server(partial(_run, many=arguments.connectors, rounds=arguments.rounds))


if __name__ == "__main__":
    sys.exit(main())
