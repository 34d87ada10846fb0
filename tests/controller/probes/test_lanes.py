from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connectors.objects.addresses import Origin
from connectors.objects.connector import ConnectorKey
from controller.probes.lanes import Job, Lanes
from controller.probes.outcome import Purpose
from controller.probes.schedule import SLOW, ProbeSettings
from tests.peers.clock import FakeClock

TOOL, OTHER = Origin("https", "tool.example", 443), Origin("https", "other.example", 443)


def job(name: str, purpose: Purpose = Purpose.LIVENESS, namespace: str = "team") -> Job:
    return Job(ConnectorKey(namespace, name), purpose)


def silent_origins(namespace: str, number: int = 1000) -> list[Origin]:
    """Tools that do not answer."""
    return [Origin("https", f"{name}.{namespace}.example", 443) for name in range(number)]


def silent_tools(it: Scene, namespace: str) -> None:
    """Add a job for each of them."""
    for origin in silent_origins(namespace):
        it.origins[job(origin.host, namespace=namespace)] = origin
        it.lanes.add(job(origin.host, namespace=namespace))


async def probed_once(it: Scene, item: Job) -> None:
    """A job of TOOL, which will come again."""
    it.origins[item] = TOOL
    it.lanes.add(item)
    await it.clock.advance(0)
    await lasts(it, it.hold)
    assert it.done == [item]


async def lasts(it: Scene, hold: asyncio.Event) -> None:
    """Let what runs end, and what comes then last."""
    it.hold = asyncio.Event()
    hold.set()
    await it.clock.advance(0)


@dataclass
class Scene:
    clock: FakeClock
    lanes: Lanes
    origins: dict[Job, Origin]
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    running: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    waiting: list[Job] = field(default_factory=list)

    async def work(self, item: Job) -> None:
        self.running.append(item)
        await self.hold.wait()
        self.running.remove(item)
        self.done.append(item)


@asynccontextmanager
async def scene(**limits: int) -> AsyncIterator[Scene]:
    clock, origins = FakeClock(), dict[Job, Origin]()
    made = Scene(clock, Lanes(ProbeSettings(**limits), clock, lambda: 0.5, origins.get), origins)
    running = asyncio.create_task(made.lanes.run(made.work, made.waiting.append))
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_one_tool_is_asked_so_many_times_at_once_and_the_others_are_told_that_they_wait() -> None:
    async with scene(per_origin=2) as it:
        jobs = [job(name) for name in "abcd"]
        it.origins.update(dict.fromkeys(jobs, TOOL))
        it.origins[job("x")] = OTHER
        for item in (*jobs, job("x")):
            it.lanes.add(item)
        await it.clock.advance(0)
        assert it.running == [job("a"), job("b"), job("x")]
        assert it.waiting == [job("c"), job("d")]
        it.hold.set()
        await it.clock.advance(0)
        assert sorted(it.done) == sorted([*jobs, job("x")])


async def test_a_job_that_asks_nobody_any_more_lets_the_next_one_in() -> None:
    async with scene(per_origin=1) as it:
        it.origins.update(dict.fromkeys([job("a"), job("b"), job("c")], TOOL))
        for name in "abc":
            it.lanes.add(job(name))
        await it.clock.advance(0)
        del it.origins[job("b")]
        it.hold.set()
        await it.clock.advance(0)
        assert it.done == [job("a"), job("c")]


async def test_slow_tools_have_places_of_their_own() -> None:
    async with scene(at_once=1, slow_at_once=1) as it:
        it.origins.update({job("a"): TOOL, job("b"): OTHER})
        it.lanes.took(TOOL, SLOW)
        it.lanes.add(job("a"))
        it.lanes.add(job("b"))
        await it.clock.advance(0)
        assert it.running == [job("b"), job("a")] or it.running == [job("a"), job("b")]
        it.hold.set()
        await it.clock.advance(0)
        it.hold.clear()
        it.done.clear()
        it.lanes.took(TOOL, SLOW - 0.1)
        it.lanes.add(job("a"))
        it.lanes.add(job("b"))
        await it.clock.advance(0)
        assert it.running == [job("a")], "quick again, it waits among all others"


async def test_a_job_runs_once_at_a_time_whichever_queue_has_it() -> None:
    async with scene() as it:
        it.origins[job("a")] = TOOL
        it.lanes.took(TOOL, SLOW)
        it.lanes.add(job("a"))
        await it.clock.advance(0)
        it.lanes.took(TOOL, 0)
        it.lanes.add(job("a"))
        await it.clock.advance(0)
        assert it.running == [job("a")]
        it.hold.set()
        await it.clock.advance(0)
        assert it.done == [job("a"), job("a")], "and the second time is not lost"


async def test_later_and_nothing_after_clear() -> None:
    async with scene() as it:
        it.origins[job("a")] = TOOL
        it.hold.set()
        it.lanes.add_after(job("a"), 5)
        await it.clock.advance(4)
        assert it.done == []
        await it.clock.advance(1.1)
        assert it.done == [job("a")]
        it.lanes.add_after(job("a"), 5)
        it.lanes.clear()
        await it.clock.advance(60)
        assert it.done == [job("a")]


async def test_what_is_forgotten_to_be_slow_is_asked_among_all_others() -> None:
    async with scene(at_once=1) as it:
        it.origins.update({job("a"): TOOL, job("b"): OTHER})
        it.lanes.took(TOOL, SLOW)
        it.lanes.forget_slow()
        it.lanes.add(job("a"))
        it.lanes.add(job("b"))
        await it.clock.advance(0)
        assert it.running == [job("a")]


@pytest.mark.parametrize(("slow", "places"), [(False, 32), (True, 16)])
async def test_t33_a_thousand_silent_tools_of_one_namespace_delay_no_other(*, slow: bool, places: int) -> None:
    async with scene() as it:
        if slow:
            for origin in (TOOL, *silent_origins("evil")):
                it.lanes.took(origin, SLOW)
        await probed_once(it, job("mine"))
        silent_tools(it, "evil")
        await it.clock.advance(0)
        assert len(it.running) == places
        it.lanes.add(job("mine"))
        await it.clock.advance(0)
        assert job("mine") in it.running


async def test_t33_namespaces_take_turns_where_there_is_no_place() -> None:
    async with scene(at_once=4) as it:
        for namespace in ("evil", "worse"):
            silent_tools(it, namespace)
        await it.clock.advance(0)
        assert len(it.running) == 4
        it.origins[job("mine")] = TOOL
        it.lanes.add(job("mine"))
        await it.clock.advance(0)
        assert job("mine") not in it.running
        await lasts(it, it.hold)
        assert job("mine") in it.running, "with the next places that came free"


async def test_t33_those_who_ask_one_tool_take_turns_by_namespace() -> None:
    async with scene(per_origin=1) as it:
        for name in map(str, range(100)):
            it.origins[job(name, namespace="evil")] = TOOL
            it.lanes.add(job(name, namespace="evil"))
        it.origins[job("mine")] = TOOL
        it.lanes.add(job("mine"))
        await it.clock.advance(0)
        assert it.running == [job("0", namespace="evil")]
        for _ in range(2):
            await lasts(it, it.hold)
        assert job("mine") in [*it.running, *it.done]


async def test_t33_a_place_at_a_tool_is_not_kept_for_one_whose_namespace_has_a_thousand_before_it() -> None:
    async with scene(at_once=4, per_origin=1) as it:
        first, second = (job(name, namespace="evil") for name in ("first", "second"))
        it.origins.update(dict.fromkeys([first, second, job("mine")], TOOL))
        it.lanes.add(first)
        await it.clock.advance(0)
        it.lanes.add(second)
        await it.clock.advance(0)
        silent_tools(it, "evil")
        it.lanes.add(job("mine"))
        await it.clock.advance(0)
        for _ in range(3):
            await lasts(it, it.hold)
        assert job("mine") in [*it.running, *it.done]
