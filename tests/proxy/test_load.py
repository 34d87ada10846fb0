from __future__ import annotations

import asyncio

import pytest

from connectors.objects.ceilings import Ceilings
from proxy.load import Load
from proxy.watchdog import NEVER

HERE, THERE = object(), object()


class Connection:
    """One in use, or idle until `deadline`."""

    def __init__(self, deadline: float = NEVER) -> None:
        self.deadline = deadline
        self.usable = True

    def close(self) -> None:
        self.usable = False

    def abort(self) -> None:
        self.usable = False


def full(*connections: Connection) -> Load[Connection]:
    """As many as there may be."""
    load = Load[Connection](Ceilings(connections=len(connections)))
    load.connections.update(connections)
    return load


def test_up_to_the_limit_no_request_waits() -> None:
    load = Load[Connection](Ceilings(connections=2))
    assert load.may_begin()
    load.connections.update([Connection(), Connection()])
    assert not load.may_begin()
    assert Load[Connection]().may_begin()


def test_an_idle_connection_makes_room_and_one_in_use_or_closing_does_not() -> None:
    closing, idle, used = Connection(5.0), Connection(5.0), Connection()
    closing.usable = False
    load = full(closing, idle, used)
    assert load.may_begin()
    assert (idle.usable, used.usable) == (False, True)
    assert load.connections == {closing, used}
    load.connections.add(Connection())
    assert not load.may_begin()


def test_where_more_must_go_than_can_none_of_the_idle_ones_stays() -> None:
    load = full(idle := Connection(5.0), Connection(), Connection())
    load.bound(Ceilings(connections=1))
    assert not load.may_begin()
    assert not idle.usable


async def test_the_first_in_line_comes_first_and_no_newcomer_takes_its_place() -> None:
    load = full(gone := Connection())
    first = load.stand_in_line(HERE, first=False)
    second = load.stand_in_line(HERE, first=False)
    load.gone(gone)
    assert first.done()
    assert not second.done()
    assert not load.may_begin(), "the place is promised"
    assert load.take_turn(first) is None
    load.connections.add(Connection())
    assert not load.may_begin()
    assert load.step_out(second) is None
    assert not load.line


async def test_a_place_that_was_promised_to_one_who_left_goes_to_the_next() -> None:
    load = full(gone := Connection())
    first, second = (load.stand_in_line(HERE, first=False) for _ in range(2))
    load.gone(gone)
    # Its client has left in the same turn: the task is cancelled before it runs.
    assert load.step_out(first) is None
    assert second.done()
    assert load.take_turn(second) is None
    assert load.may_begin(), "and no place was lost"


async def test_a_connection_that_was_handed_to_one_who_left_is_given_back() -> None:
    load = full(free := Connection())
    turn = load.stand_in_line(HERE, first=False)
    assert load.hand_over(free, HERE)
    assert load.step_out(turn) is free
    assert not load.line


async def test_one_that_is_cancelled_in_line_leaves_it() -> None:
    load = full(gone := Connection())
    first, second = (load.stand_in_line(HERE, first=False) for _ in range(2))
    first.cancel()
    load.gone(gone)
    assert load.step_out(first) is None
    assert second.done()


async def test_a_connection_is_handed_to_the_first_alone_and_only_if_that_one_takes_it() -> None:
    load = full(free := Connection())
    first = load.stand_in_line(THERE, first=False)
    second = load.stand_in_line(HERE, first=False)
    assert not load.hand_over(free, HERE)
    assert not any((first.done(), second.done()))
    assert load.hand_over(free, THERE)
    assert load.take_turn(first) is free
    fresh = load.stand_in_line(None, first=True)
    assert not load.hand_over(free, HERE)
    load.gone(free)
    assert load.take_turn(fresh) is None


async def test_one_that_stands_first_again_is_first() -> None:
    load = full(gone := Connection())
    other = load.stand_in_line(HERE, first=False)
    again = load.stand_in_line(HERE, first=True)
    load.gone(gone)
    assert (again.done(), other.done()) == (True, False)


async def waiting_in(load: Load[Connection], seconds: float = 30.0) -> asyncio.Task[Connection | None]:
    task = asyncio.ensure_future(load.turn(HERE, seconds, lambda _: True))
    await asyncio.sleep(0)
    return task


async def test_a_thousand_who_leave_together_leave_nothing() -> None:
    load = full(Connection())
    waiting = [await waiting_in(load) for _ in range(1000)]
    assert len(load.line) == 1000
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert not load.line


async def test_one_that_leaves_in_the_turn_in_which_it_is_handed_a_connection_closes_it() -> None:
    load = full(free := Connection())
    task = await waiting_in(load)
    assert load.hand_over(free, HERE)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert not free.usable


async def test_one_whose_time_is_over_leaves_the_line() -> None:
    load = full(Connection())
    with pytest.raises(TimeoutError):
        await load.turn(HERE, 0.0, lambda _: True)
    assert not load.line


async def test_one_that_is_handed_a_dead_connection_is_still_the_first() -> None:
    load = full(dead := Connection())
    first, second = await waiting_in(load), await waiting_in(load)
    assert load.hand_over(dead, HERE)
    dead.usable = False
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    load.gone(dead)
    assert await first is None
    load.connections.add(other := Connection())
    assert load.hand_over(other, HERE)
    assert await second is other


async def test_one_that_is_handed_what_it_may_not_use_makes_a_new_one() -> None:
    load = full(outdated := Connection())
    task = asyncio.ensure_future(load.turn(HERE, 30.0, lambda connection: connection is not outdated))
    await asyncio.sleep(0)
    assert load.hand_over(outdated, HERE)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not outdated.usable
    load.gone(outdated)
    assert await task is None


async def test_t33_ceilings_that_rise_call_the_next_and_ceilings_that_fall_end_nothing() -> None:
    load = full(one := Connection())
    first, second = await waiting_in(load), await waiting_in(load)
    load.bound(Ceilings(connections=2))
    assert await first is None
    load.connections.add(Connection())
    load.bound(Ceilings(connections=1, requests=3, rate=5))
    assert (load.most_requests, load.rate, one.usable) == (3, 5, True)
    load.gone(one)
    await asyncio.sleep(0)
    assert not second.done(), "there are as many as there may be"
    second.cancel()
