"""Rounds of scenarios, all proxies in turn within each round: a busy machine disturbs all of them alike."""

from __future__ import annotations

import base64
import json
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import trustme

from bench.behind import Tools
from bench.bodies import GIB
from bench.load import LoadError, Requests, download, small, upload
from bench.measure import cpu_seconds
from bench.peers.peer import HOST, Behind, Callers, CannotError, Peer, Running, Setup, Site
from bench.results import Results, Sample
from bench.scenarios import Body, Scenario
from standalone.child import ChildError

# Where the body comes from. Chunks of 32 KiB are what Go's io.Copy makes, and Jetty.
DOWN = {
    Body.DOWN: "/large",
    Body.DOWN_CHUNKED: f"/chunked/{32 * 1024}",
    Body.DOWN_LARGE_CHUNKS: f"/chunked/{1024 * 1024}",
}
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: rounds of `seconds` each; 1 GiB takes as long as it takes."""

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    seconds: float


def progress(line: str) -> None:
    """To standard error, so that the result can be redirected."""
    print(line, file=sys.stderr, flush=True)


async def run(plan: Plan, folder: Path, tell: Tell = progress) -> Results:
    """Measure everything. A proxy that cannot be started or fails is named in the results and left out."""
    results = Results()
    async with AsyncExitStack() as exits:
        field = Field(exits, folder)
        present = _present(plan.peers, results, tell)
        setups = list(dict.fromkeys(scenario.setup for scenario in plan.scenarios))
        ordered = sorted(plan.scenarios, key=lambda scenario: setups.index(scenario.setup))
        number = 0
        for setup, group in groupby(ordered, key=lambda scenario: scenario.setup):
            scenarios = list(group)
            async with AsyncExitStack() as setup_exits:
                running = await field.start(setup_exits, setup, present, results)
                for scenario in scenarios:
                    number += 1
                    tell(f"[{number}/{len(plan.scenarios)}] {scenario.title}")
                    await _scenario(scenario, running, plan, results, field, tell)
    return results


def _present(peers: Sequence[Peer], results: Results, tell: Tell) -> list[Peer]:
    """Those that the machine has; the others are named."""
    for peer in peers:
        if peer.program() is None:
            results.missing[peer.name] = peer.package
            tell(f"missing: {peer.name} ({peer.package})")
    return [peer for peer in peers if peer.name not in results.missing]


class Field:
    """What all share: tools, a CA, a caller's token, a file of 1 GiB."""

    def __init__(self, exits: AsyncExitStack, folder: Path) -> None:
        authority = trustme.CA()
        self.folder = folder
        self.leaf = authority.issue_cert("localhost", "127.0.0.1")
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self.token = token()
        self.large = folder / "large"
        with self.large.open("wb") as file:
            file.truncate(GIB)
        self._tools = Tools(exits, folder, self.leaf)
        self._count = 0

    async def tool(self, behind: Behind) -> str:
        """The address of this tool."""
        return await self._tools.address(behind)

    async def start(
        self, exits: AsyncExitStack, setup: Setup, peers: Sequence[Peer], results: Results
    ) -> dict[str, Running]:
        """Every peer that can serve this Setup, by name."""
        tool = await self.tool(setup.behind)
        running = {}
        for peer in peers:
            if not peer.able(setup):
                continue
            self._count += 1
            site = Site(self.folder / f"peer-{self._count}", setup, tool, self.authority, self.leaf, self.token)
            site.folder.mkdir()
            try:
                running[peer.name] = await peer.start(exits, site)
            except (CannotError, ChildError) as error:
                results.fail(peer.name, f"was not started: {error}")
        return running

    def fields(self, setup: Setup, running: Running) -> dict[str, str]:
        """What every request has."""
        shown = {} if setup.callers is Callers.ANYONE else {"Authorization": f"Bearer {self.token}"}
        return {"Host": HOST, **shown, **running.fields}


async def _scenario(
    scenario: Scenario, running: dict[str, Running], plan: Plan, results: Results, field: Field, tell: Tell
) -> None:
    able = dict(running)
    for number in range(1, plan.rounds + 1):
        said = []
        for name, proxy in list(able.items()):
            try:
                sample = await measure(scenario, proxy, plan.seconds, field)
            except (LoadError, ChildError) as error:
                results.fail(name, f"failed in {scenario.key}: {error}")
                del able[name]
                continue
            results.add(scenario.key, name, sample)
            said.append(f"{name} {sample.shown(scenario.per)}")
        tell(f"  round {number} of {plan.rounds}: {', '.join(said)}")


async def measure(scenario: Scenario, proxy: Running, seconds: float, field: Field) -> Sample:
    """One run against one proxy.

    Raises:
        LoadError: it failed.
    """
    before = cpu_seconds(proxy.pid) if proxy.pid else 0.0
    fields = field.fields(scenario.setup, proxy)
    if isinstance(scenario.load, Requests):
        done = await small(proxy.url, scenario.load, seconds, fields)
        count, rate, p50, p99 = float(done.requests), done.rate, done.p50, done.p99
    else:
        count, rate, p50, p99 = 1.0, await _body(scenario.load, proxy.url, fields, field.large) / GIB, None, None
    used = cpu_seconds(proxy.pid) - before if proxy.pid else None
    return Sample(None if used is None else used / count, rate, p50, p99)


async def _body(load: Body, url: str, fields: dict[str, str], file: Path) -> float:
    """Bytes per second."""
    if load in DOWN:
        return await download(url + DOWN[load], fields)
    return await upload(f"{url}/upload", fields, file, chunked=load is Body.UP_CHUNKED)


def token() -> str:
    """As long and as made as a ServiceAccount's: a JSON Web Token that ends in an hour. Its signature is random."""
    claims = {
        "aud": ["https://kubernetes.default.svc.cluster.local"],
        "exp": int(time.time()) + 3600,
        "iss": "https://kubernetes.default.svc.cluster.local",
        "kubernetes.io": {"namespace": "default", "serviceaccount": {"name": "caller", "uid": secrets.token_hex(16)}},
        "sub": "system:serviceaccount:default:caller",
    }
    parts = (b'{"alg":"RS256","kid":"bench"}', json.dumps(claims).encode(), secrets.token_bytes(256))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode("ascii") for part in parts)
