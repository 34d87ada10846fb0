from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from connectors.kube.client import KubeClient
from connectors.kube.errors import UnavailableError
from connectors.kube.resources import CONFIG_MAPS, LEASES
from controller.leader import LEASE_NAME, Candidate, LeaseElection, LeaseTimes, OnlyReplica
from controller.metrics import ControllerMetrics
from controller.writer import NotLeaderError, Writer
from tests.controller.world import STEP, SYSTEM, World

TIMES = LeaseTimes()


class Runner:
    """One candidate with a client of its own, and a writer that asks it."""

    def __init__(self, world: World, identity: str) -> None:
        self.client: KubeClient = world.client()
        self.election = LeaseElection(self.client, Candidate(identity, SYSTEM), world.clock, lambda: 0.0)
        metrics = ControllerMetrics(CollectorRegistry())
        self.writer = Writer(self.client, self.election, world.clock, metrics)
        self.task: asyncio.Task[None] | None = None

    @property
    def may_write(self) -> bool:
        return self.election.may_write()

    async def start(self) -> None:
        await self.client.start()
        self.task = asyncio.create_task(self.election.run())

    async def pause(self) -> None:
        """As a process that is stopped: nothing of it runs, and nothing is released."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def resume(self) -> None:
        self.task = asyncio.create_task(self.election.run())

    async def write(self, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        await self.writer.create(CONFIG_MAPS, body, "team")


@asynccontextmanager
async def candidates(world: World, *identities: str) -> AsyncIterator[list[Runner]]:
    runners = [Runner(world, identity) for identity in identities]
    try:
        for runner in runners:
            await runner.start()
            await world.advance(1)
        yield runners
    finally:
        for runner in runners:
            await runner.pause()
            await runner.client.close()


def holder(world: World) -> str | None:
    lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
    return lease["spec"].get("holderIdentity") if lease else None


async def test_the_first_one_leads(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await asyncio.wait_for(a.election.won(), 1)
        await asyncio.wait_for(b.election.lost(), 1)
        assert (a.may_write, b.may_write) == (True, False)
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        assert lease["spec"] == {
            "holderIdentity": "a",
            "leaseDurationSeconds": 15,
            "acquireTime": "2026-11-23T12:00:00.000000Z",
            "renewTime": lease["spec"]["renewTime"],
            "leaseTransitions": 0,
        }
        await world.advance(60)
        assert (a.may_write, b.may_write) == (True, False)


async def test_a_released_lease_is_taken_over_at_once(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await a.pause()
        await a.election.release()
        assert not a.may_write
        assert holder(world) is None
        await world.advance(TIMES.retry * 1.2)
        assert b.may_write
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("b", 1)
        await a.resume()
        await world.advance(30)
        assert (a.may_write, b.may_write) == (False, True)


async def test_only_the_holder_releases(world: World) -> None:
    async with candidates(world, "a", "b") as (_, b):
        await b.election.release()
        assert holder(world) == "a"


async def test_a_release_after_a_renewal_whose_answer_was_lost(world: World) -> None:
    async with candidates(world, "a") as (a,):
        await a.pause()
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        world.server.put({**lease, "spec": {**lease["spec"], "renewTime": "2026-11-23T12:00:09.000000Z"}})
        await a.election.release()
        assert holder(world) is None


@pytest.mark.parametrize("there", [False, True])
async def test_who_is_stopped_while_it_asks_for_the_lease_lets_go_of_it(world: World, there: bool) -> None:
    if there:
        async with candidates(world, "x") as (x,):
            await x.pause()
            await x.election.release()
    world.server.keeps_answers = asyncio.Event()
    a = Runner(world, "a")
    await a.start()
    await world.server.until(lambda: holder(world) == "a")
    assert not a.may_write
    await a.pause()
    world.server.keeps_answers.set()
    await a.election.release()
    await a.client.close()
    async with candidates(world, "b") as (b,):
        assert b.may_write


async def test_a_release_without_an_api_server_ends(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with candidates(world, "a") as (a,):
        await a.pause()
        await world.server.stop()
        await a.election.release()
        assert "could not be released" in caplog.text
        await world.server.start()


async def test_a_dead_leader_is_replaced_when_its_lease_is_over(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await a.pause()
        await world.advance(TIMES.deadline)
        assert not a.may_write
        assert not b.may_write
        await world.advance(TIMES.lease - TIMES.deadline + TIMES.retry)
        assert b.may_write


async def test_the_old_leader_comes_back_and_follows(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await a.pause()
        await world.advance(20)
        await a.resume()
        assert not a.may_write
        await world.advance(30)
        assert (a.may_write, b.may_write) == (False, True)
        assert holder(world) == "b"
        with pytest.raises(NotLeaderError):
            await a.write("late")


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_clock_steps_change_nothing(world: World, seconds: float) -> None:
    async with candidates(world, "a", "b") as (a, b):
        for _ in range(5):
            world.clock.step(seconds)
            await world.advance(3)
            assert (a.may_write, b.may_write) == (True, False)
        await a.pause()
        world.clock.step(seconds)
        await world.advance(TIMES.deadline)
        assert not b.may_write


async def test_a_hung_api_server(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with candidates(world, "a", "b") as (a, b):
        release = world.hang("/leases")
        lost = asyncio.create_task(a.election.lost())
        await world.advance(TIMES.deadline - TIMES.retry - 1)
        assert a.may_write
        await world.advance(TIMES.retry + 1)
        assert not a.may_write
        assert lost.done()
        await world.advance(60)
        assert not b.may_write
        release()
        await world.advance(20)
        assert a.may_write != b.may_write


@asynccontextmanager
async def slow_answers(world: World, seconds: float) -> AsyncIterator[None]:
    """Meanwhile each answer about the Lease takes that long."""
    told = world.server._notify

    async def notify() -> None:
        if "/leases" in world.server.requests[-1].path:
            world.held += 1
            try:
                await world.clock.sleep(seconds)
            finally:
                world.held -= 1
        await told()

    world.server._notify = notify  # type: ignore[method-assign]
    try:
        yield
    finally:
        world.server._notify = told  # type: ignore[method-assign]


async def test_with_slow_answers_somebody_leads_and_stays(world: World) -> None:
    async with slow_answers(world, 3), candidates(world, "a", "b") as (a, b):
        await world.until(lambda: a.may_write or b.may_write, 20)
        leader = (a.may_write, b.may_write)
        for _ in range(60):
            await world.advance(1)
            assert (a.may_write, b.may_write) == leader
        for runner in (a, b):
            await runner.pause()


async def test_an_api_server_that_is_away_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await world.server.stop()
        await world.advance(60)
        assert not a.may_write
        assert caplog.text.count("could not be asked for") < 10
        await world.server.start()
        await world.advance(20)
        assert a.may_write != b.may_write


async def test_the_deadline_counts_from_when_a_renewal_was_begun_not_from_its_answer(world: World) -> None:
    async with candidates(world, "a") as (a,):
        release = world.hang("/leases")
        asked = len(world.server.writes())
        await world.until(lambda: len(world.server.writes()) > asked)
        # Half of the time: as much again may pass while the request crosses loopback on a busy machine.
        await world.advance(TIMES.write_timeout / 2)
        release()
        await world.settled()
        await a.pause()
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        assert lease["spec"]["renewTime"] > lease["spec"]["acquireTime"]
        # What the server saw when is no measure of it: the clock moves on while a request crosses loopback.
        age = world.clock.now() - datetime.fromisoformat(lease["spec"]["renewTime"])
        assert age.total_seconds() >= TIMES.write_timeout / 2
        begun = world.clock.monotonic() - age.total_seconds()
        world.clock._monotonic = begun + TIMES.deadline - STEP
        assert a.may_write
        world.clock._monotonic = begun + TIMES.deadline
        assert not a.may_write


async def test_conflict_on_renewal(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        metadata = {**lease["metadata"], "annotations": {"somebody": "else"}}
        world.server.put({**lease, "metadata": metadata})
        world.server.conflict_next(1)
        for _ in range(10):
            await world.advance(2)
            assert (a.may_write, b.may_write) == (True, False)
        kept = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert kept is not None
        assert kept["metadata"]["annotations"] == {"somebody": "else"}


async def test_the_lease_is_given_to_another(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        lease = world.server.get(LEASES, LEASE_NAME, SYSTEM)
        assert lease is not None
        world.server.put({**lease, "spec": {**lease["spec"], "holderIdentity": "b"}})
        await world.advance(TIMES.retry * 2)
        assert (a.may_write, b.may_write) == (False, True)


async def test_the_lease_is_deleted_under_us(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        for _ in range(3):
            world.server.remove(LEASES, LEASE_NAME, SYSTEM)
            for _ in range(40):
                await world.advance(0.25)
                assert not (a.may_write and b.may_write)
        assert (a.may_write, b.may_write) == (True, False)


async def test_a_lease_that_vanishes_with_its_holder_counts_until_it_is_over(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await world.advance(4)
        await a.pause()
        await world.advance(5)
        world.server.remove(LEASES, LEASE_NAME, SYSTEM)
        await world.advance(TIMES.lease - 1)
        assert not b.may_write
        await world.advance(TIMES.retry * 3)
        assert b.may_write


async def test_whoever_slept_while_another_led_waits_for_a_lease_that_vanished(world: World) -> None:
    async with candidates(world, "a", "b") as (a, b):
        await a.pause()
        await world.advance(60)
        assert b.may_write
        world.server.remove(LEASES, LEASE_NAME, SYSTEM)
        await a.resume()
        for _ in range(40):
            await world.advance(0.25)
            assert not (a.may_write and b.may_write)
        assert b.may_write


async def test_a_write_is_over_before_another_may_begin(world: World) -> None:
    """The last write begins just before the deadline and hangs: it has failed before the other one leads."""
    async with candidates(world, "a", "b") as (a, b):
        await a.pause()
        last = world.clock.monotonic()
        while a.may_write:
            last = world.clock.monotonic()
            await world.advance(0.25)
        world.clock._monotonic = last
        release = world.hang("/configmaps")
        write = asyncio.create_task(a.write("last"))
        while not write.done():
            assert not b.may_write
            await world.advance(0.25)
        assert isinstance(write.exception(), UnavailableError)
        assert world.clock.monotonic() < last + TIMES.write_timeout + 0.5
        release()
        await world.advance(TIMES.lease)
        assert b.may_write


async def test_never_both_whatever_the_weather(  # noqa: C901 - each kind of weather is a function here
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def clear() -> None:
        pass

    async def conflicts() -> None:
        world.server.conflict_next(3)

    async def failures() -> None:
        world.server.fail_next(4, 503)

    async def lost_answers() -> None:
        world.server.lose_answers(2)

    async def deletion() -> None:
        if holder(world):
            world.server.remove(LEASES, LEASE_NAME, SYSTEM)

    async def step() -> None:
        world.clock.step(-1000)

    weather: list[Callable[[], Coroutine[Any, Any, None]]] = [clear, conflicts, failures, lost_answers, deletion, step]
    led: set[str] = set()
    with caplog.at_level(logging.CRITICAL):
        async with candidates(world, "a", "b", "c") as runners:
            for turn in range(36):
                await weather[turn % len(weather)]()
                leaving = next((runner for runner in runners if runner.may_write), None) if turn % 7 == 3 else None
                if leaving:
                    await leaving.pause()
                    await leaving.election.release()
                for _ in range(12):
                    await world.advance(0.5)
                    writers = [index for index, runner in enumerate(runners) if runner.may_write]
                    assert len(writers) <= 1
                    led |= {"abc"[index] for index in writers}
                if leaving:
                    await leaving.resume()
    assert len(led) > 1


async def test_without_competition() -> None:
    only = OnlyReplica()
    assert only.may_write()
    await only.won()
    await only.release()
    for forever in (only.lost(), only.run()):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(forever, 0)
