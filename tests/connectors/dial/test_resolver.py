from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter

import pytest

from connectors.dial import resolver
from connectors.dial.resolver import NameResolver, TooManyLookupsError, look_up
from tests.peers.clock import FakeClock


class Names:
    """A name server: `slow` names are answered once `release` is set; counts questions."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.asked: list[str] = []
        self.fifty = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if len(self.asked) == 50:
            self.fifty.set()
        if host.startswith("slow"):
            assert self.release.wait(10)
        if host.endswith("missing"):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return ["192.0.2.1", f"192.0.2.{port % 256}"]


async def test_slow_names_keep_nobody_else_waiting() -> None:
    names = Names()
    resolver = NameResolver(names)
    slow = [asyncio.create_task(resolver.addresses(f"slow-{number}", 80, f"team-{number % 2}")) for number in range(50)]
    assert await asyncio.to_thread(names.fifty.wait, 10)
    assert await resolver.addresses("other", 80) == ["192.0.2.1", "192.0.2.80"]
    assert not any(task.done() for task in slow)
    names.release.set()
    await asyncio.gather(*slow)


async def test_one_lookup_serves_all_who_wait_and_the_next_asks_anew() -> None:
    names = Names()
    resolver = NameResolver(names)
    waiting = [asyncio.create_task(resolver.addresses("slow", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    names.release.set()
    assert await asyncio.gather(*waiting[1:]) == [["192.0.2.1", "192.0.2.80"]] * 4
    assert names.asked == ["slow"]
    await resolver.addresses("slow", 80)
    assert names.asked == ["slow", "slow"]


async def test_a_name_that_does_not_resolve() -> None:
    resolver = NameResolver(Names())
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await resolver.addresses("missing", 80)


async def test_a_failure_that_nobody_waits_for_is_not_reported() -> None:
    names = Names()
    asking = asyncio.create_task(NameResolver(names).addresses("slow.missing", 80))
    await asyncio.sleep(0)
    asking.cancel()
    names.release.set()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def begun(names: Names, number: int) -> None:
    """Wait until the name server has been asked so often, and let those ask that may."""
    async with asyncio.timeout(10):
        while len(names.asked) < number:  # noqa: ASYNC110 - it is asked in threads
            await asyncio.sleep(0.001)
    await asyncio.sleep(0)


def asking(resolver: NameResolver, namespace: str, *hosts: str) -> list[asyncio.Task[list[str]]]:
    return [asyncio.create_task(resolver.addresses(host, 80, namespace)) for host in hosts]


async def test_t33_a_namespace_has_so_many_lookups_at_once_and_the_others_their_own() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=2)
    slow = asking(resolver, "loud", *(f"slow-{number}" for number in range(5)))
    await begun(names, 2)
    assert await resolver.addresses("other", 80, "quiet") == ["192.0.2.1", "192.0.2.80"]
    assert names.asked == ["slow-0", "slow-1", "other"], "the rest waits"
    names.release.set()
    await asyncio.gather(*slow)
    assert sorted(names.asked) == ["other", *(f"slow-{number}" for number in range(5))]


async def test_t33_a_namespace_without_a_lookup_may_begin_one_however_many_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_LOOKUPS", 2)
    names = Names()
    bounded = NameResolver(names)
    slow = asking(bounded, "loud", "slow-0", "slow-1", "slow-2")
    await begun(names, 2)
    assert await bounded.addresses("other", 80, "quiet") == ["192.0.2.1", "192.0.2.80"]
    also = asking(bounded, "quiet", "slow-3", "slow-4")
    await begun(names, 4)
    assert names.asked == ["slow-0", "slow-1", "other", "slow-3"]
    names.release.set()
    await asyncio.gather(*slow, *also)


async def test_t33_a_name_that_another_namespace_waits_for_is_begun_at_once_and_told_to_both() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)
    blocked = asking(resolver, "loud", "slow-0")
    await begun(names, 1)
    blocked += asking(resolver, "loud", "shared", "shared")
    await asyncio.sleep(0)
    assert await resolver.addresses("shared", 80, "quiet") == ["192.0.2.1", "192.0.2.80"]
    assert await asyncio.gather(*blocked[1:]) == [["192.0.2.1", "192.0.2.80"]] * 2
    names.release.set()
    await asyncio.gather(*blocked)
    assert names.asked == ["slow-0", "shared"]


async def test_t33_a_name_that_runs_for_another_namespace_is_not_begun_twice() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)
    first = asking(resolver, "loud", "slow-0")
    await begun(names, 1)
    waiting = asking(resolver, "loud", "slow-shared", "slow-1")
    await asyncio.sleep(0)
    other = asking(resolver, "quiet", "slow-shared")
    await begun(names, 2)
    names.release.set()
    await asyncio.gather(*first, *waiting, *other)
    assert sorted(names.asked) == ["slow-0", "slow-1", "slow-shared"]


async def test_t33_what_is_not_wanted_any_more_is_not_looked_up() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)
    first = asking(resolver, "loud", "slow-0")
    await begun(names, 1)
    left, stayed = asking(resolver, "loud", "left", "stayed")
    await asyncio.sleep(0)
    left.cancel()
    names.release.set()
    await asyncio.gather(*first, stayed)
    assert names.asked == ["slow-0", "stayed"]


async def test_t33_namespaces_take_turns() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)
    both = asking(resolver, "a", "slow-a") + asking(resolver, "b", "slow-b")
    await begun(names, 2)
    both += asking(resolver, "a", "a1", "a2", "a3") + asking(resolver, "b", "b1", "b2", "b3")
    await asyncio.sleep(0)
    names.release.set()
    await asyncio.gather(*both)
    order = names.asked[2:]
    assert all(abs(order.index(f"a{number}") - order.index(f"b{number}")) <= 3 for number in (1, 2, 3)), order


async def test_t33_where_few_places_are_left_each_namespace_has_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_LOOKUPS", 8)
    names = [f"{namespace}{number}" for namespace in "abcd" for number in range(8)]
    release = {name: threading.Event() for name in names}
    asked: list[str] = []

    def look(host: str, _: int) -> list[str]:
        asked.append(host)
        assert release[host].wait(10)
        return ["192.0.2.1"]

    bounded = NameResolver(look, of_namespace=6)
    waiting = [task for name in names for task in asking(bounded, name[0], name)]
    for number in range(20):
        async with asyncio.timeout(10):
            while len(asked) < min(8 + number, len(names)):  # noqa: ASYNC110 - it is asked in threads
                await asyncio.sleep(0.001)
        if number >= 4:
            running = Counter(name[0] for name in asked if not release[name].is_set())
            assert max(running.values()) - min(running.values()) <= 2, (asked, running)
        most = max("abcd", key=[name[0] for name in asked if not release[name].is_set()].count)
        release[next(name for name in asked if name[0] == most and not release[name].is_set())].set()
        await asyncio.sleep(0.01)
    for event in release.values():
        event.set()
    await asyncio.gather(*waiting)


async def test_t33_a_lookup_that_gets_no_thread_fails_and_keeps_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        waiting = asking(resolver, "loud", "first", "first", "second")
        found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in found] == [OSError] * 3
    assert await resolver.addresses("first", 80, "loud") == ["192.0.2.1", "192.0.2.80"]
    assert await resolver.addresses("third", 80, "loud") == ["192.0.2.1", "192.0.2.80"]


async def test_t33_as_many_as_a_namespace_may_let_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_WAITING", 2)
    names = Names()
    bounded = NameResolver(names, of_namespace=1)
    slow = asking(bounded, "loud", "slow-0", "slow-1", "slow-2")
    await begun(names, 1)
    with pytest.raises(TooManyLookupsError):
        await bounded.addresses("third", 80, "loud")
    assert await bounded.addresses("other", 80, "quiet") == ["192.0.2.1", "192.0.2.80"]
    names.release.set()
    await asyncio.gather(*slow)


async def test_t33_a_name_that_fails_gives_its_place_back() -> None:
    names = Names()
    resolver = NameResolver(names, of_namespace=1)
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            await resolver.addresses("missing", 80, "loud")
    waiting = asking(resolver, "loud", "missing", "first", "missing", "second")
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(answer, list) for answer in found] == [False, True, False, True]


async def test_a_literal_is_its_own_answer() -> None:
    names = Names()
    assert await NameResolver(names).addresses("::1", 80) == ["::1"]
    assert names.asked == []


def test_the_systems_own_lookup() -> None:
    assert "127.0.0.1" in look_up("localhost", 80)
    with pytest.raises(OSError, match=r"\w"):
        look_up("does-not-exist.invalid", 80)


def caching(names: Names, clock: FakeClock, seconds: float = 5.0) -> NameResolver:
    return NameResolver(names, seconds, clock.monotonic)


async def test_an_answer_counts_for_so_long() -> None:
    names, clock = Names(), FakeClock()
    kept = caching(names, clock)
    for pause, asked in ((0.0, 1), (4.9, 1), (0.2, 2), (4.9, 2), (0.1, 3)):
        await clock.advance(pause)
        assert await kept.addresses("tool", 80) == ["192.0.2.1", "192.0.2.80"]
        assert len(names.asked) == asked, "it begins with the answer, and being asked for does not prolong it"


async def test_each_name_and_port_has_its_own_answer() -> None:
    names = Names()
    kept = caching(names, FakeClock())
    for _ in range(2):
        assert await kept.addresses("tool", 80) == ["192.0.2.1", "192.0.2.80"]
        assert await kept.addresses("tool", 81) == ["192.0.2.1", "192.0.2.81"]
        await kept.addresses("other", 80)
    assert names.asked == ["tool", "tool", "other"]


async def test_a_failure_does_not_count_any_longer_than_for_who_waits() -> None:
    names = Names()
    kept = caching(names, FakeClock())
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await kept.addresses("missing", 80)
    assert names.asked == ["missing"] * 2


async def test_what_is_forgotten_is_asked_for_again() -> None:
    names = Names()
    kept = caching(names, FakeClock())
    await kept.addresses("tool", 80)
    await kept.addresses("tool", 81)
    kept.forget("tool", 80)
    kept.forget("unknown", 80)
    await kept.addresses("tool", 81)
    assert len(names.asked) == 2
    await kept.addresses("tool", 80)
    assert len(names.asked) == 3


async def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_CACHED", 2)
    names, clock = Names(), FakeClock()
    kept = caching(names, clock)
    for _ in range(2):
        for name in ("a", "b", "c"):
            await kept.addresses(name, 80)
    assert names.asked == ["a", "b", "c", "c"], "where there is no room, a name is asked for each time"
    await clock.advance(5)
    for _ in range(2):
        await kept.addresses("c", 80)
    assert names.asked == ["a", "b", "c", "c", "c"], "what does not count any more makes room"


@pytest.mark.parametrize("seconds", [0.0, 5.0])
async def test_t09_nobody_can_change_what_others_are_told(seconds: float) -> None:
    names = Names()
    kept = caching(names, FakeClock(), seconds)
    waiting = [asyncio.create_task(kept.addresses("slow", 80)) for _ in range(2)]
    await asyncio.sleep(0)
    names.release.set()
    for answer in await asyncio.gather(*waiting):
        assert answer == ["192.0.2.1", "192.0.2.80"]
        answer[:] = ["169.254.169.254"]
    for _ in range(2):
        answer = await kept.addresses("slow", 80)
        assert answer == ["192.0.2.1", "192.0.2.80"]
        answer.clear()
