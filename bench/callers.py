"""Many callers against a real API server: `make bench-callers`.

1,000 ServiceAccounts use 100 Connectors through `python -m proxy`, each with a token of its own. Measured are the first
request of each, the requests after it, what they cost the API server, and what a flood of made-up tokens costs it.
Prints a Markdown table. Needs KUBEBUILDER_ASSETS, kubectl and wrk.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from bench.cluster import on_api_server
from bench.load import Requests, small
from tests.peers.api_server import ADMIN_TOKEN, ApiServer
from tests.peers.cluster_processes import ClusterProcess, start_cluster_proxy
from tests.peers.crds import install_crds
from tests.peers.manifests import connector
from tests.peers.nginx import start_nginx

TEAM = "team"
# Requests at once, of callers and to the API server alike: half of what fits on two cores with a proxy between.
AT_ONCE = 32
CREATED = re.compile(r"^apiserver_request_total\{[^}]*resource=\"(\w+)\"[^}]*verb=\"POST\"[^}]*\} ([\d.e+]+)$", re.M)
API = "/apis/connectors.alauda.io/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Callers:
    """Their tokens; caller number N uses Connector number N modulo `connectors`."""

    tokens: tuple[str, ...]
    connectors: int

    def request(self, number: int) -> dict[str, str]:
        """The header fields of one request of that caller's."""
        return headers(number % self.connectors, self.tokens[number])


@dataclass(frozen=True, slots=True)
class Round:
    """One round of requests: statuses, seconds in all, and each request's seconds in order."""

    statuses: Counter[int]
    seconds: float
    latencies: tuple[float, ...]

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return 1000 * self.latencies[int(share * (len(self.latencies) - 1))]


def headers(connector_number: int, token: str) -> dict[str, str]:
    """Host and token of a request."""
    return {"Host": f"c-tool-{connector_number}.{TEAM}.svc", "Authorization": f"Bearer {token}"}


async def make(server: ApiServer, tool: str, *, callers: int, connectors: int) -> Callers:
    """Connectors, ServiceAccounts with tokens, and a role that lets them all in."""
    await asyncio.to_thread(install_crds, server)
    authorization = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    pool = aiohttp.TCPConnector(ssl=server.context, limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=pool, headers=authorization) as session:

        async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
            async with session.post(server.url + path, json=body) as answer:
                found: dict[str, Any] = await answer.json()
                if answer.status >= 300:
                    raise RuntimeError(f"{path}: {found}")
                return found

        await post("/api/v1/namespaces", {"metadata": {"name": TEAM}})
        for manifest in (_role(), _binding()):
            await post(f"{RBAC}/namespaces/{TEAM}/{manifest['kind'].lower()}s", manifest)
        await post(f"{API}/connectorclasses", _class())
        places = [connector(f"tool-{number}", tool, "open", namespace=TEAM) for number in range(connectors)]
        await _all(post(f"{API}/namespaces/{TEAM}/connectors", place) for place in places)
        accounts = f"/api/v1/namespaces/{TEAM}/serviceaccounts"

        async def token(number: int) -> str:
            await post(accounts, {"metadata": {"name": f"caller-{number}"}})
            wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            found: str = (await post(f"{accounts}/caller-{number}/token", wanted))["status"]["token"]
            return found

        return Callers(tuple(await _all(token(number) for number in range(callers))), connectors)


async def ask(url: str, requests: Sequence[dict[str, str]]) -> Round:
    """Send them, AT_ONCE at a time."""
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(fields: dict[str, str]) -> None:
            async with turns:
                began = time.perf_counter()
                async with session.get(url + "/small", headers=fields) as answer:
                    await answer.read()
                latencies.append(time.perf_counter() - began)
                statuses[answer.status] += 1

        began = time.perf_counter()
        await _all(one(fields) for fields in requests)
        return Round(statuses, time.perf_counter() - began, tuple(sorted(latencies)))


def reviews(server: ApiServer) -> Counter[str]:
    """How many questions the API server itself has counted so far, by resource."""
    text: str = server.must("GET", "/metrics")["text"]
    counted: Counter[str] = Counter()
    for resource, number in CREATED.findall(text):
        counted[resource] += int(float(number))
    return Counter({name: counted[name] for name in ("tokenreviews", "subjectaccessreviews")})


def flood(count: int) -> list[dict[str, str]]:
    """Requests with tokens that nobody was given, each another one."""
    return [headers(0, f"e30.e30.{secrets.token_urlsafe(32)}") for _ in range(count)]


def _role() -> dict[str, Any]:
    rule = {"apiGroups": ["connectors.alauda.io"], "resources": ["connectors"], "verbs": ["get"]}
    return {"kind": "Role", "metadata": {"name": "callers"}, "rules": [rule]}


def _binding() -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    subject = {"kind": "Group", "apiGroup": group, "name": f"system:serviceaccounts:{TEAM}"}
    reference = {"apiGroup": group, "kind": "Role", "name": "callers"}
    return {"kind": "RoleBinding", "metadata": {"name": "callers"}, "roleRef": reference, "subjects": [subject]}


def _class() -> dict[str, Any]:
    version = "connectors.alauda.io/v1alpha1"
    return {"apiVersion": version, "kind": "ConnectorClass", "metadata": {"name": "open"}, "spec": {"proxy": {}}}


async def _all(work: Iterable[Awaitable[Any]]) -> list[Any]:
    return list(await asyncio.gather(*work))


async def _measure(server: ApiServer, folder: Path, *, callers: int, connectors: int) -> list[str]:
    kubeconfig = server.kubeconfig
    async with AsyncExitStack() as exits:
        tool = await start_nginx(folder / "tool", 'location / { return 200 "ok"; }')
        exits.push_async_callback(tool.child.stop)
        made = await make(server, f"http://127.0.0.1:{tool.port}", callers=callers, connectors=connectors)
        proxy = await start_cluster_proxy(kubeconfig, "--auth-cache-ttl", "60s", "--access-log", "off")
        exits.push_async_callback(proxy.child.stop)
        open_proxy = await start_cluster_proxy(kubeconfig, "--client-auth", "none", "--access-log", "off")
        exits.push_async_callback(open_proxy.child.stop)
        return await _rows(server, made, proxy, open_proxy)


async def _rows(server: ApiServer, made: Callers, proxy: ClusterProcess, open_proxy: ClusterProcess) -> list[str]:
    everybody = [made.request(number) for number in range(len(made.tokens))]
    rows = []
    for name, requests in (("first request of each", everybody), ("five more of each", everybody * 5)):
        rows.append(await _round(server, name, lambda requests=requests: ask(proxy.url, requests)))  # type: ignore[misc]
    rows.append(await _round(server, "10,000 made-up tokens", lambda: ask(proxy.url, flood(10_000))))
    rows.append(await _round(server, "one more of each, behind the flood", lambda: ask(proxy.url, everybody)))
    host, token = everybody[0]["Host"], everybody[0]["Authorization"]
    known = await small(proxy.url, Requests(32), 5, {"Host": host, "Authorization": token})
    nobody = await small(open_proxy.url, Requests(32), 5, {"Host": host})
    return [
        "| round | requests/s | p50 ms | p99 ms | answers | TokenReviews | SubjectAccessReviews |",
        "|---|---|---|---|---|---|---|",
        *rows,
        f"| one known caller, 32 connections (wrk) | {known.rate:,.0f} | {known.p50:.1f} | {known.p99:.1f} | | | |",
        f"| the same with --client-auth none | {nobody.rate:,.0f} | {nobody.p50:.1f} | {nobody.p99:.1f} | | | |",
    ]


async def _round(server: ApiServer, name: str, work: Callable[[], Awaitable[Round]]) -> str:
    before = await asyncio.to_thread(reviews, server)
    done = await work()
    after = await asyncio.to_thread(reviews, server)
    asked = {key: after[key] - before[key] for key in after}
    answers = ", ".join(f"{count:,} × {status}" for status, count in sorted(done.statuses.items()))
    rate = sum(done.statuses.values()) / done.seconds
    return (
        f"| {name} | {rate:,.0f} | {done.percentile(0.5):.1f} | {done.percentile(0.99):.1f} | {answers} "
        f"| {asked['tokenreviews']:,} | {asked['subjectaccessreviews']:,} |"
    )


def main() -> int:
    """Run it, and print the table."""
    parser = argparse.ArgumentParser("python -m bench.callers", description=__doc__)
    parser.add_argument("--callers", type=int, default=1000)
    parser.add_argument("--connectors", type=int, default=100)
    arguments = parser.parse_args()
    return on_api_server(partial(_measure, callers=arguments.callers, connectors=arguments.connectors))


if __name__ == "__main__":
    sys.exit(main())
