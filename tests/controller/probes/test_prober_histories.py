"""Any history of edits, answers and leaders: what the prober says in the end is what is true then."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from connectors.http.response import Response
from connectors.inventory import Inventory
from connectors.objects.connector import Connector, ConnectorKey
from connectors.objects.metadata import ObjectMeta
from connectors.objects.secret import OPAQUE, Secret, SecretValue
from connectors.snapshot import Objects, Snapshot
from controller.probes.lanes import Key
from controller.probes.metrics import ProbeMetrics
from controller.probes.outcome import Probed
from controller.probes.prober import Prober, ProberSurroundings
from controller.probes.request import ProbeRequest, origin_of
from controller.probes.schedule import ProbeSettings
from tests.controller.probes.subjects import BEARER, http, probed, probing_class
from tests.peers.clock import FakeClock
from tests.peers.probe_sender import target_of

SETTINGS = ProbeSettings(interval=10.0, longest=40.0, timeout=3.0, at_once=3, per_origin=1)
ROUND = 45.0
"""Seconds in which everything is probed once: the longest pause, its jitter, and what hangs before it in line."""
NAMES = ("a", "b", "c")
ORIGINS = ("https://one.example", "https://two.example")
# A label can break the template: where what it renders to holds a space.
LIVE = http("/{{ .Connector.ObjectMeta.Name }}/live{{ .Connector.ObjectMeta.Labels.mark }}")
AUTH = http("/{{ .Connector.ObjectMeta.Name }}/auth", httpHeaders=BEARER)


@dataclass
class Tool:
    """Answers by the origin's mood and the token, and keeps book of who asks."""

    hangs: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    running: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    thawed: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, request: ProbeRequest, *, read_body: bool) -> Response:
        origin, target = origin_of(request.address), target_of(request)
        assert all(job != target for _, job in self.running.elements()), "a job runs twice at once"
        assert sum(count for (at, _), count in self.running.items() if at == origin) < SETTINGS.per_origin
        assert self.running.total() < SETTINGS.at_once
        self.running[origin, target] += 1
        self.asked[target] += 1
        try:
            while origin in self.hangs:
                self.thawed.clear()
                await self.thawed.wait()
            return Response(self.status(origin, target, request))
        finally:
            self.running[origin, target] -= 1
            self.running += Counter()

    def status(self, origin: str, target: str, request: ProbeRequest) -> int:
        if origin in self.broken:
            return 500
        good = any(header.value.reveal() == b"Bearer good" for header in request.headers)
        return 200 if good or not target.endswith("/auth") else 401


@dataclass
class World:
    """The objects as they are now; each edit makes new ones, as a watch does."""

    connectors: dict[str, Connector] = field(default_factory=dict)
    kind_generation: int = 1
    probes: bool = True
    token: bytes | None = b"good"
    version: int = 1
    snapshot: Snapshot | None = None
    kind: Any = None
    secret: Secret | None = None
    inventory: Inventory = field(default_factory=Inventory)

    def changed(self) -> Snapshot:
        kind = probing_class(LIVE, AUTH) if self.probes else probing_class()
        kind = msgspec.structs.replace(
            kind, metadata=msgspec.structs.replace(kind.metadata, generation=self.kind_generation)
        )
        self.kind = self.kind if self.kind == kind else kind
        if self.token is None:
            self.secret = None
        elif self.secret is None or self.secret.metadata.resource_version != str(self.version):
            metadata = ObjectMeta(name="login", namespace="team", uid="uid-login", resource_version=str(self.version))
            self.secret = Secret(metadata, OPAQUE, {"token": SecretValue(self.token)})
        secrets = (self.secret,) if self.secret else ()
        objects = Objects(connectors=tuple(self.connectors.values()), classes=(self.kind,), secrets=secrets)
        self.snapshot = self.inventory.build(objects)
        return self.snapshot

    def edit(self, name: str, **metadata: Any) -> None:
        item = self.connectors.get(name) or marked(probed(name, ORIGINS[0]), "1")
        self.connectors[name] = msgspec.structs.replace(
            item, metadata=msgspec.structs.replace(item.metadata, **metadata)
        )

    def move(self, name: str, origin: str) -> None:
        before = self.connectors.get(name)
        self.connectors[name] = marked(probed(name, origin), "1")
        if before:
            self.edit(name, uid=before.metadata.uid, labels=before.metadata.labels)
            self.edit(name, generation=before.metadata.generation + 1)


def marked(item: Connector, mark: str) -> Connector:
    return msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, labels={"mark": mark}))


@dataclass
class History:
    world: World = field(default_factory=World)
    tool: Tool = field(default_factory=Tool)
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[Key] = field(default_factory=list)
    births: int = 0

    def __post_init__(self) -> None:
        metrics = ProbeMetrics(CollectorRegistry())
        around = ProberSurroundings(self.tool, None, self.clock, lambda: 0.5, metrics)
        self.prober = Prober(around, SETTINGS, self.told.append)
        self.running = asyncio.create_task(self.prober.run())

    async def step(self, what: str, name: str, origin: str, seconds: float) -> None:
        world = self.world
        match what:
            case "move":
                world.move(name, origin)
            case "mark":
                world.edit(name, labels={"mark": "1" if seconds > 1 else "a b"})
            case "delete":
                world.connectors.pop(name, None)
            case "recreate":
                self.births += 1
                world.edit(name, uid=f"uid-{name}-{self.births}", generation=1)
            case "class":
                world.kind_generation += 1
                world.probes = seconds > 1
            case "secret":
                world.version += 1
                world.token = {0.0: None, 1.0: b"bad"}.get(seconds, b"good")
            case "hang" | "thaw" | "break" | "heal":
                self._mood(what, origin)
            case "leader":
                await self._another_leader()
            case "wait":
                await self.clock.advance(seconds)
        self.prober.follow(world.changed())
        assert not self.running.done()

    def _mood(self, what: str, origin: str) -> None:
        moods = self.tool.hangs if what in {"hang", "thaw"} else self.tool.broken
        if what in {"hang", "break"}:
            moods.add(origin)
        else:
            moods.discard(origin)
        self.tool.thawed.set()

    async def _another_leader(self) -> None:
        await self.end()
        self.prober.clear()
        self.running = asyncio.create_task(self.prober.run())

    async def end(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    async def settle(self) -> None:
        self.tool.hangs.clear()
        self.tool.thawed.set()
        await self.clock.advance(ROUND)

    def check(self) -> None:
        for name, item in self.world.connectors.items():
            probes = self.prober.probes(ConnectorKey("team", name))
            expected = self._expected(item)
            assert (_say(probes.liveness), _say(probes.auth)) == expected, name

    def _expected(self, item: Connector) -> tuple[str, str]:
        if not self.world.probes:
            return "-", "-"
        broken = item.spec.address in self.tool.broken
        live = "UnexpectedStatus" if broken else "True"
        if item.metadata.labels.get("mark", "") == "a b":
            live = "TemplateError"
        if self.world.token is None:
            return live, "-"
        if broken:
            return live, "UnexpectedStatus"
        return live, "True" if self.world.token == b"good" else "AuthenticationFailed"


def _say(probed: Probed | None) -> str:
    if probed is None:
        return "-"
    return probed.outcome.reason.value if probed.outcome.reason else probed.outcome.status.value


STEPS = st.tuples(
    st.sampled_from(
        ["move", "mark", "delete", "recreate", "class", "secret", "hang", "thaw", "break", "heal", "leader", "wait"]
    ),
    st.sampled_from(NAMES),
    st.sampled_from(ORIGINS),
    st.sampled_from([0.0, 1.0, 3.0, 11.0, 41.0]),
)


@given(st.lists(STEPS, max_size=40))
def test_whatever_happened_the_last_word_is_about_what_is_there(steps: list[tuple[str, str, str, float]]) -> None:
    async def live_through() -> None:
        history = History()
        try:
            for name in NAMES:
                await history.step("move", name, ORIGINS[0], 0)
            for step in steps:
                await history.step(*step)
            await history.settle()
            history.check()
            await _steady(history)
        finally:
            await history.end()

    asyncio.run(live_through())


async def _steady(history: History) -> None:
    """Nobody is forgotten, and nobody is asked more often than the schedule says."""
    history.tool.asked.clear()
    await history.clock.advance(4 * ROUND)
    for name in history.world.connectors:
        probes = history.prober.probes(ConnectorKey("team", name))
        for suffix, told in (("live", probes.liveness), ("auth", probes.auth)):
            asked = sum(n for target, n in history.tool.asked.items() if target.startswith(f"/{name}/{suffix}"))
            if told is None or _say(told) == "TemplateError":
                assert asked == 0
            else:
                assert 3 <= asked <= 4 * ROUND / SETTINGS.interval + 2
    history.check()
