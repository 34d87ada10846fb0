from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.slots import AT_ONCE, PAUSE, SHED_AT_ONCE, Closed, Slots, client_of
from proxy.watchdog import NEVER

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Held:
    """A connection that has waited since a moment, or is at work."""

    looked_at = 0

    def __init__(self, since: float = NEVER) -> None:
        self.since = since
        self.closed = False

    @property
    def waits_since(self) -> float:
        Held.looked_at += 1
        return self.since

    def make_room(self) -> None:
        self.closed = True


def take(slots: Slots, ip: str, *waiting_since: float) -> list[Held]:
    """One for each moment, all of which get a place."""
    held = [Held(since) for since in waiting_since]
    assert [slots.take(one, ip, 0.0) for one in held] == [None] * len(held)
    return held


@pytest.mark.parametrize(
    ("ip", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
    ],
)
def test_t33_whose_an_address_is(ip: str, client: str) -> None:
    assert client_of(ip) == client


def test_t33_the_client_with_the_most_loses_the_one_that_has_waited_longest() -> None:
    slots = Slots(5, 0)
    (few,) = take(slots, A, 0.0)
    many = take(slots, B, 3.0, 1.0, NEVER, 2.0)
    take(slots, C, 9.0)
    assert [one.closed for one in (few, *many)] == [False, False, True, False, False]
    assert len(slots) == 5
    assert slots.closed[Closed.MADE_ROOM] == 1


def test_t33_a_client_that_has_all_places_only_loses_its_own() -> None:
    slots = Slots(4, 0)
    own = take(slots, A, 1.0, 2.0, 3.0)
    (other,) = take(slots, B, 0.0)
    own += take(slots, A, 4.0)
    assert [one.closed for one in own] == [True, False, False, False]
    assert not other.closed


def test_t33_a_client_with_more_is_refused_rather_than_one_with_fewer_closed() -> None:
    slots = Slots(3, 0)
    take(slots, A, NEVER, NEVER)
    (other,) = take(slots, B, 0.0)
    assert slots.take(Held(), A, 0.0) is Closed.NO_ROOM
    assert not other.closed
    assert len(slots) == 3
    # B has no more than A: it is B's own that goes.
    assert slots.take(Held(), B, 0.0) is None
    assert other.closed


def test_t33_no_request_that_runs_is_cut_off() -> None:
    slots = Slots(2, 0)
    working = take(slots, A, NEVER, NEVER)
    assert slots.take(Held(), B, 0.0) is Closed.NO_ROOM
    assert not any(one.closed for one in working)
    slots.leave(working[0])
    assert slots.take(Held(), B, PAUSE) is None


def test_t33_one_client_s_limit() -> None:
    slots = Slots(100, 2)
    first, second = take(slots, A, 1.0, NEVER)
    (third,) = take(slots, A, NEVER)
    assert (first.closed, second.closed) == (True, False)
    assert slots.take(Held(), A, 0.0) is Closed.CLIENT_LIMIT
    assert slots.take(Held(), B, 0.0) is None
    slots.leave(third)
    assert slots.take(Held(), A, 0.0) is None
    assert slots.closed == {Closed.MADE_ROOM: 1, Closed.NO_ROOM: 0, Closed.CLIENT_LIMIT: 1, Closed.MEMORY: 0}


@pytest.mark.parametrize("since", [0.0, NEVER])
def test_t33_a_flood_is_not_worth_a_look_at_everything_for_each_of_it(since: float) -> None:
    slots = Slots(4096, 0)
    take(slots, A, *[since] * 4096)
    Held.looked_at = 0
    for number in range(1000):
        slots.take(Held(since), A if number % 2 else B, number / 1e6)
    # 4,096 / 8 are more than make room at once.
    assert Held.looked_at <= 4097 * (1000 / AT_ONCE + 1)


def test_t33_a_flood_while_nearly_all_are_at_work_is_not_worth_a_look_for_each_of_it() -> None:
    slots = Slots(4096, 0)
    take(slots, A, *[NEVER] * 4090, *[0.0] * 6)
    Held.looked_at = 0
    taken = [slots.take(Held(number / 1e3), A, number / 1e3) for number in range(1000)]
    assert Held.looked_at <= 4097 * 12, "a second's flood"
    assert taken.count(None) >= 10, "some come in all the same"
    # A client with fewer does not wait for that.
    assert slots.take(Held(1.0), B, 1.0) is None


def test_leaving_twice_does_no_harm() -> None:
    slots = Slots(2, 0)
    (one,) = take(slots, A, 0.0)
    slots.leave(one)
    slots.leave(one)
    assert len(slots) == 0


STEPS = st.lists(st.tuples(st.sampled_from([A, B, C]), st.sampled_from([1.0, 2.0, NEVER]), st.integers(-1, 30)))


@given(st.integers(1, 6), st.integers(0, 4), STEPS)
def test_t33_whatever_comes_and_goes(limit: int, per_client: int, steps: list[tuple[str, float, int]]) -> None:
    slots = Slots(limit, per_client)
    there: list[tuple[str, Held]] = []
    for now, (ip, since, leaves) in enumerate(steps):
        if 0 <= leaves < len(there):
            slots.leave(there.pop(leaves)[1])
            continue
        new = Held(since)
        before = Counter(client for client, _ in there)
        refused = slots.take(new, ip, float(now))
        lost = [(client, one) for client, one in there if one.closed]
        assert all(one.since != NEVER for _, one in lost), "none that works is closed"
        assert all(before[client] > before[ip] or client == ip for client, _ in lost)
        assert not (refused and lost)
        there = [(client, one) for client, one in there if not one.closed]
        if refused is None:
            there.append((ip, new))
        elif refused is Closed.NO_ROOM:
            assert len(there) == limit
        assert not new.closed
        assert len(slots) == len(there) <= limit
        if per_client:
            assert max(Counter(client for client, _ in there).values()) <= per_client


def test_t32_those_that_wait_and_hold_most_free_memory() -> None:
    slots = Slots(10, 0)
    least, most, busy, middle = take(slots, A, 1.0, 2.0, NEVER, 3.0)
    gone = Held(0.0)
    held = [(least, 10), (most, 100), (busy, 1000), (middle, 50), (gone, 500)]
    assert slots.shed(held, 101) == 2
    assert [one.closed for one in (least, most, busy, middle, gone)] == [False, True, False, True, False]
    assert len(slots) == 2
    assert slots.closed[Closed.MEMORY] == 2
    assert slots.shed([(least, 10)], 0) == 0


def test_t32_few_are_closed_at_one_look() -> None:
    """Each takes time, in which no other client is served."""
    slots = Slots(2 * SHED_AT_ONCE, 0)
    waiting = take(slots, A, *([1.0] * 2 * SHED_AT_ONCE))
    assert slots.shed([(one, 1) for one in waiting], 2 * SHED_AT_ONCE) == SHED_AT_ONCE
