"""The controller with many Connectors that are probed, on a real API server: `make bench-probes`.

5,000 Connectors in 200 namespaces, each with a Secret of its own, on 50 tools, of which one refuses every credential
and one never answers: what the controller costs once all are known, and whether every Connector keeps its turn. Then
1,000 Connectors on one tool, known at once: whether the tool notices. Prints Markdown tables. Needs KUBEBUILDER_ASSETS
and kubectl.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import MIB, Api, BenchError, Rest, all_of, printed, quiet, rest, secret, until
from bench.tools import LIVE, USER, Manner, Told, ToolsRun
from tests.cluster.installed import GROUP, account_kubeconfig, condition
from tests.peers.cluster_processes import ClusterProcess, start_controller
from tests.peers.manifests import Manifest, auth, connector, connector_class

CLASS = "probed"
LOGIN = 'Basic {{ printf "%s:%s" .Secret.StringData.username .Secret.StringData.password | b64enc }}'
# Of one Connector: liveness and credential.
PROBES_EACH = 2
# Seconds until everything has to be known.
PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much is made. `after`: seconds until a tool answers. Connector number N uses tool number N modulo `tools`."""

    namespaces: int
    connectors: int
    manners: tuple[Manner, ...]
    after: float

    def manner(self, number: int) -> Manner:
        """How the tool of a Connector answers."""
        return self.manners[number % len(self.manners)]

    @property
    def well(self) -> frozenset[str]:
        """Names of the Connectors whose tools work."""
        return frozenset(_name(number) for number in range(self.connectors) if self.manner(number) is Manner.WELL)


@dataclass(frozen=True, slots=True)
class Scene:
    """An API server with all objects in it, the tools, and the controller, which has just begun."""

    size: Size
    api: Api
    tools: ToolsRun
    controller: ClusterProcess
    began: float

    async def asked(self) -> float:
        """Seconds until the tools that work were asked for everything once."""
        wanted = PROBES_EACH * len(self.size.well)

        async def all_asked() -> bool:
            _, each = await self.tools.seen()
            return sum(told.requests for told in each if told.manner is Manner.WELL) >= wanted

        await until(all_asked, PATIENCE, "asking the tools")
        return time.monotonic() - self.began

    async def known(self) -> float:
        """Seconds until every Connector whose tool works is Ready."""
        well = self.size.well

        async def all_ready() -> bool:
            ready = {
                found["metadata"]["name"]
                for found in await self.api.connectors()
                if condition(found, "Ready").get("status") == "True"
            }
            return well <= ready

        await until(all_ready, PATIENCE, "making every Connector ready")
        return time.monotonic() - self.began

    async def versions(self) -> Mapping[str, str]:
        """Name -> resourceVersion of every Connector: it changes with each write."""
        found = [item["metadata"] for item in await self.api.connectors()]
        return {item["name"]: item["resourceVersion"] for item in found}


@dataclass(frozen=True, slots=True)
class Steady:
    """The controller while nothing changes; `memory` in bytes.

    `asked`, `known`: seconds until every tool that works was asked for everything, until all its Connectors were Ready.
    `changed`: Connectors whose status was written, those whose tool works and the others.
    """

    asked: float
    known: float
    memory: int
    rest: Rest
    whole: Told
    each: tuple[Told, ...]
    changed: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many Connectors on one tool; see Steady. `cpu` in seconds."""

    asked: float
    known: float
    cpu: float
    tool: Told


def _name(number: int) -> str:
    return f"tool-{number}"


def probed_class() -> Manifest:
    """Both probes, as a class for a tool with Basic credentials has them."""
    headers = [{"name": "Authorization", "value": LOGIN}]
    check = {"authName": "basicAuth", "probe": {"http": {"path": USER, "httpHeaders": headers}}}
    live = {"http": {"path": LIVE + "{{ .Connector.Name }}"}}
    types = [{"name": "basicAuth", "secretType": "kubernetes.io/basic-auth"}]
    return connector_class(CLASS, types, livenessProbe=live, authProbes=[check])


async def fill(api: Api, size: Size, addresses: list[str]) -> None:
    """Make all objects."""
    await api.post(f"{GROUP}/connectorclasses", probed_class())
    spaces = [f"team-{number}" for number in range(size.namespaces)]
    await api.namespaces(spaces)

    async def one(number: int) -> None:
        login = f"login-{number}"
        address, space = addresses[number % len(addresses)], spaces[number % len(spaces)]
        made = connector(_name(number), address, CLASS, namespace=space, auth=auth("basicAuth", login))
        await api.connect(made, secret(login, f"password-{number}"))

    await all_of(one(number) for number in range(size.connectors))


@asynccontextmanager
async def scene(size: Size) -> AsyncIterator[Scene]:
    """Everything is there; the controller starts last."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        api = await Api.start(exits, folder)
        tools = await ToolsRun.start(list(size.manners), size.after)
        exits.push_async_callback(tools.child.stop)
        began = time.monotonic()
        await fill(api, size, tools.addresses)
        _say(f"made {size.connectors:,} Connectors in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        controller = await start_controller(account_kubeconfig(api.server, "controller", folder))
        exits.push_async_callback(controller.child.stop)
        yield Scene(size, api, tools, controller, began)


async def steady(size: Size, window: float) -> Steady:
    """Wait until all is known and said, then measure for `window` seconds."""
    async with scene(size) as there:
        asked = await there.asked()
        known = await there.known()
        _say(f"all known in {known:.0f} s")
        await until(lambda: quiet(there.controller), PATIENCE, "writing the last Events")
        _say(f"quiet after {time.monotonic() - there.began:.0f} s")
        before = await there.versions()
        await there.tools.begin()
        resting = await rest(there.controller, window)
        whole, each = await there.tools.seen()
        if not any(told.gaps for told in each):
            raise BenchError(f"nothing was probed twice within {window:g} s: measure for longer than a round")
        after = await there.versions()
        written = {name for name in after if after[name] != before[name]}
        changed = (len(written & size.well), len(written - size.well))
        return Steady(asked, known, there.controller.peak_memory, resting, whole, tuple(each), changed)


async def crowd(size: Size) -> Crowd:
    """Until all are known."""
    async with scene(size) as there:
        asked = await there.asked()
        whole, _ = await there.tools.seen()
        known = await there.known()
        return Crowd(asked, known, there.controller.cpu_seconds, whole)


def steady_rows(found: Steady) -> list[tuple[str, str]]:
    """What is told of it; requests are as the tools have counted them."""
    per_minute = 60 / found.rest.seconds
    well = [told for told in found.each if told.manner is Manner.WELL]
    gaps = [gap for told in well for gap in told.gaps]
    waiting = [gap for told in well for gap in told.waiting]
    most = {manner: max((told.most for told in found.each if told.manner is manner), default=0) for manner in Manner}
    ready, others = found.changed
    seconds = f"{found.rest.seconds:.0f} s"
    return [
        ("every tool that works was asked for everything after, s", f"{found.asked:.0f}"),
        ("every Connector of such a tool is Ready after, s", f"{found.known:.0f}"),
        ("peak resident memory, MiB", f"{found.memory / MIB:.0f}"),
        ("CPU seconds a minute", f"{found.rest.cpu * per_minute:.1f}"),
        ("requests/s to tools", f"{found.whole.requests / found.rest.seconds:.0f}"),
        ("CPU milliseconds a request", f"{1000 * found.rest.cpu / found.whole.requests:.2f}"),
        ("at once at all tools, at most", f"{found.whole.most}"),
        ("at once at one that works, at most", f"{most[Manner.WELL]}"),
        ("at once at one that hangs, at most", f"{most[Manner.HANGING]}"),
        (
            "between two liveness probes, at tools that work: shortest, median s",
            f"{min(gaps):.1f}, {_middle(gaps):.1f}",
        ),
        ("the same, longest of all, s", f"{max(*gaps, *waiting):.1f}"),
        (f"reads from the API server in {seconds}", f"{found.rest.reads}"),
        (f"writes in {seconds}", f"{found.rest.writes}"),
        ("Connectors whose status was written, of tools that work", f"{ready}"),
        ("the same, of the other tools", f"{others}"),
    ]


def crowd_rows(found: Crowd) -> list[tuple[str, str]]:
    """The same of many Connectors on one tool."""
    return [
        ("the tool was asked for everything after, s", f"{found.asked:.0f}"),
        ("requests/s to the tool until then", f"{found.tool.requests / found.asked:.0f}"),
        ("at once at the tool, at most", f"{found.tool.most}"),
        ("all Ready after, s", f"{found.known:.0f}"),
        ("CPU seconds until then", f"{found.cpu:.1f}"),
    ]


def table(title: str, rows: list[tuple[str, str]]) -> str:
    """In Markdown."""
    return "\n".join([f"| {title} | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)])


def _middle(gaps: list[float]) -> float:
    return statistics.median(gaps)


def _say(what: str) -> None:
    print(f"{what}; load {os.getloadavg()[0]:.1f}", file=sys.stderr)


async def measure(size: Size, crowded: Size, window: float) -> str:
    """The whole run; returns the tables."""
    of_many = steady_rows(await steady(size, window))
    of_one = crowd_rows(await crowd(crowded))
    many = f"{size.connectors:,} Connectors on {len(size.manners)} tools"
    one = f"{crowded.connectors:,} Connectors on one tool"
    return f"{table(many, of_many)}\n\n{table(one, of_one)}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m bench.probes", description=__doc__)
    parser.add_argument("--namespaces", type=int, default=200)
    parser.add_argument("--connectors", type=int, default=5000)
    parser.add_argument("--tools", type=int, default=50)
    parser.add_argument("--refusing", type=int, default=1, help="tools that refuse every credential")
    parser.add_argument("--hanging", type=int, default=1, help="tools that never answer")
    parser.add_argument("--crowd", type=int, default=1000, help="Connectors on one tool")
    parser.add_argument("--after", type=float, default=0.02, help="seconds until a tool answers")
    parser.add_argument("--window", type=float, default=180.0, help="seconds that are measured")
    given = parser.parse_args()
    bad = (Manner.REFUSING,) * given.refusing + (Manner.HANGING,) * given.hanging
    manners = (Manner.WELL,) * (given.tools - len(bad)) + bad
    size = Size(given.namespaces, given.connectors, manners, given.after)
    crowded = Size(given.namespaces, given.crowd, (Manner.WELL,), given.after)
    return printed(measure(size, crowded, given.window))


if __name__ == "__main__":
    sys.exit(main())
