"""The one rule behind all: what was remembered saves work, and changes not a byte, a refusal, a count or a log line.

Random requests and answers are played again and again over one connection of one proxy, while objects change, kept
connections die and answers about callers end; and each once on a proxy that has seen nothing. What is seen of both from
outside is the same.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from connectors.kube.access import Access
from connectors.kube.client import KubeClient
from proxy.settings import CallerSettings, ClientAuth, ProxySettings
from proxy.wiring import Cluster
from tests.peers.answering_tool import AnsweringTool, Reply
from tests.peers.clock import FakeClock
from tests.peers.dialogue import OK
from tests.peers.fake_api_server import FakeApiServer
from tests.peers.inner_proxy import start_inner_proxy
from tests.peers.manifests import Manifest, bearer_token, caller_token, secret
from tests.peers.reviewer import Reviewer
from tests.peers.seen import Seen, check_same
from tests.proxy.transcripts.remembering.plays import Event, Exchange, Segment, State, modes, segments
from tests.proxy.transcripts.remembering.requests import KEYED, SECOND, TOKEN, objects
from tests.proxy.transcripts.remembering.scene import Objects, Scene, check_logs, until

EXAMPLES = int(os.environ.get("REMEMBERING_EXAMPLES", "120"))
"""Plays. More of them find more: some thousands in a night."""
ROUNDS = 4
"""Nothing is remembered at first sight: the second remembers, the third uses it, the fourth does so behind an event."""
TTL = 10.0


def with_(*more: Manifest) -> Objects:
    """The first objects, but for these."""
    replaced = {(item["kind"], item["metadata"]["name"]) for item in more}

    def made(address: str) -> Sequence[Manifest]:
        kept = [item for item in objects(address) if (item["kind"], item["metadata"]["name"]) not in replaced]
        return [*kept, *more]

    return made


STATES: dict[State, Objects] = {
    State.FIRST: objects,
    State.SECRETS: with_(
        bearer_token("one", "rotated"), bearer_token("two", "rotated"), secret("key", {"key": "other"})
    ),
    State.CALLERS: with_(
        caller_token("may", SECOND.decode()), caller_token("may-not", TOKEN.decode(), namespace="elsewhere")
    ),
    State.ADDRESSES: lambda address: objects(address + "/moved"),
    State.CLASSES: with_({**KEYED, "spec": {**KEYED["spec"], "proxy": {"authExtractor": {"header": "X-Own"}}}}),
    State.GONE: lambda address: objects(address)[1:],
}


class World:
    """One tool, one API server, a proxy that has seen much, and any number that have seen nothing."""

    def __init__(self, mode: ClientAuth, tool: AnsweringTool, folder: Path) -> None:
        self.tool = tool
        self.reviewer = Reviewer()
        self.clock = FakeClock()
        self.client: KubeClient | None = None
        callers = CallerSettings(cache_ttl=TTL, failure_rate=0)
        self._settings = ProxySettings(client_auth=mode, callers=callers)
        self._folder = folder
        self._numbers = count()

    @asynccontextmanager
    async def scene(self, state: State) -> AsyncIterator[Scene]:
        """A proxy with these objects, and its client."""
        file = self._folder / f"audit-{next(self._numbers)}.log"
        cluster = Cluster(self.client, self.clock) if self.client else None
        inner = await start_inner_proxy(
            *STATES[state](self.tool.address), settings=replace(self._settings, audit_log=str(file)), cluster=cluster
        )
        scene = Scene(inner, self.tool, file)
        try:
            yield scene
        finally:
            scene.leave()
            await inner.proxy.drain()

    async def enter(self, state: State) -> None:
        """What the API server says of callers in this state; what it said before has ended."""
        swapped = state is State.CALLERS
        token = SECOND if swapped else TOKEN
        self.reviewer.users = {token.decode(): "may"}
        await self.clock.advance(TTL)

    async def fresh(self, state: State, exchange: Exchange) -> tuple[Scene, Seen]:
        """The exchange on a proxy that has seen nothing."""
        async with self.scene(state) as scene:
            await scene.mark()
            return scene, await self.play(scene, exchange)

    async def play(self, scene: Scene, exchange: Exchange) -> Seen:
        """What is seen of it."""
        reply = exchange.replies
        pieces = tuple(piece.replace(b"<tool>", self.tool.authority) for piece in reply.pieces)

        def answer(_: bytes) -> Reply:
            if exchange.swaps_to:
                scene.swap(STATES[exchange.swaps_to])
            return Reply(pieces, reply.close)

        self.tool.answer = answer
        await scene.asks(exchange.request * exchange.count, answers=exchange.count, cuts=exchange.cuts)
        seen = await scene.seen()
        self.tool.answer = lambda _: OK
        if exchange.count == 1:
            return seen
        # Behind `Connection: close` the rest is read or not: the kernel resets a connection of which it was not.
        return replace(seen, client=tuple(answer.replace(b"<reset>", b"<end>") for answer in seen.client))


@asynccontextmanager
async def world(mode: ClientAuth) -> AsyncIterator[World]:
    """All of it, for one play."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(TemporaryDirectory()))
        tool = await exits.enter_async_context(AnsweringTool(lambda _: OK))
        made = World(mode, tool, folder)
        if mode is ClientAuth.KUBERNETES:
            server = await exits.enter_async_context(FakeApiServer())
            server.virtual = dict.fromkeys(("tokenreviews", "subjectaccessreviews"), made.reviewer.answer)
            made.client = KubeClient(Access(server.kubeconfig(folder)))
            await made.client.start()
            exits.push_async_callback(made.client.close)
        yield made


async def happens(world: World, scene: Scene, event: Event) -> None:
    """Before requests are played."""
    match event:
        case Event.NOTHING:
            return
        case Event.CLIENT_LEAVES:
            scene.leave()
            await scene.settled()
        case Event.TIME_PASSES:
            await world.clock.advance(TTL)
        case Event.POOL_DIES:
            for connection in world.tool.connections:
                if not connection.lost:
                    connection.close()
            idle = "connectors_proxy_upstream_connections"
            await until(lambda: scene.proxy.metric(idle, state="idle") == 0)


async def play_all(mode: ClientAuth, play: Sequence[Segment]) -> None:
    async with world(mode) as here, here.scene(State.FIRST) as known:
        in_order: list[Scene] = []
        for segment in play:
            await here.enter(segment.state)
            expected = [await here.fresh(segment.state, exchange) for exchange in segment.exchanges]
            await here.enter(segment.state)
            known.swap(STATES[segment.state])
            await known.mark()
            for number in range(ROUNDS):
                if number == ROUNDS - 1:
                    await happens(here, known, segment.event)
                for exchange, (scene, wanted) in zip(segment.exchanges, expected, strict=True):
                    in_order += [scene] * await seen_before(here, known, exchange)
                    check_same(await here.play(known, exchange), wanted, f"{segment.state}, round {number}, {exchange}")
                    in_order.append(scene)
                    if exchange.swaps_to:
                        known.swap(STATES[segment.state])
        await check_logs(known, 0, in_order)


async def seen_before(world: World, scene: Scene, exchange: Exchange) -> int:
    """Where objects change while the request runs, nothing is remembered of the last round: it is seen again first.

    How often: it is logged as the request behind it.
    """
    if exchange.swaps_to is None:
        return 0
    for _ in range(ROUNDS - 1):
        await world.play(scene, replace(exchange, swaps_to=None))
    return ROUNDS - 1


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.slow
@pytest.mark.timeout(1800)
# Not shrunk by default: a play that hangs takes seconds each time.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(mode=modes, play=segments())
async def test_what_was_remembered_changes_nothing(mode: ClientAuth, play: list[Segment]) -> None:
    await play_all(mode, play)
