from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from connectors.dialing import resolver
from connectors.dialing.resolver import Resolver, TooManyLookupsError, look_up


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
    resolver = Resolver(names)
    slow = [asyncio.create_task(resolver.addresses(f"slow-{number}", 80)) for number in range(50)]
    assert await asyncio.to_thread(names.fifty.wait, 10)
    assert await resolver.addresses("other", 80) == ["192.0.2.1", "192.0.2.80"]
    assert not any(task.done() for task in slow)
    names.release.set()
    await asyncio.gather(*slow)


async def test_one_lookup_serves_all_who_wait_and_the_next_asks_anew() -> None:
    names = Names()
    resolver = Resolver(names)
    waiting = [asyncio.create_task(resolver.addresses("slow", 80)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    names.release.set()
    assert await asyncio.gather(*waiting[1:]) == [["192.0.2.1", "192.0.2.80"]] * 4
    assert names.asked == ["slow"]
    await resolver.addresses("slow", 80)
    assert names.asked == ["slow", "slow"]


async def test_a_name_that_does_not_resolve() -> None:
    resolver = Resolver(Names())
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await resolver.addresses("missing", 80)


async def test_a_failure_that_nobody_waits_for_is_not_reported() -> None:
    names = Names()
    asking = asyncio.create_task(Resolver(names).addresses("slow.missing", 80))
    await asyncio.sleep(0)
    asking.cancel()
    names.release.set()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_lookups_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_LOOKUPS", 2)
    names = Names()
    bounded = Resolver(names)
    slow = [asyncio.create_task(bounded.addresses(f"slow-{number}", 80)) for number in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyLookupsError):
        await bounded.addresses("third", 80)
    names.release.set()
    await asyncio.gather(*slow)


async def test_a_literal_is_its_own_answer() -> None:
    names = Names()
    assert await Resolver(names).addresses("::1", 80) == ["::1"]
    assert names.asked == []


def test_the_systems_own_lookup() -> None:
    assert "127.0.0.1" in look_up("localhost", 80)
    with pytest.raises(OSError, match=r"\w"):
        look_up("does-not-exist.invalid", 80)
