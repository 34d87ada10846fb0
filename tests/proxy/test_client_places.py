"""A place for a connection: whether there is one, since when it is held for nothing, and how it is given up."""

from __future__ import annotations

import asyncio
import time

import pytest

from proxy import client
from proxy.client import After
from proxy.watchdog import NEVER
from tests.proxy.test_client import Desk, get, turns


async def test_t33_since_when_it_waits_and_how_it_makes_room() -> None:
    desk = Desk()
    begun = time.monotonic()
    assert begun - 1 < desk.client.waits_since <= begun
    desk.hold = asyncio.Event()
    await desk.receive(get(b"/1"))
    assert desk.client.waits_since is NEVER
    desk.hold.set()
    await turns()
    answered = desk.client.waits_since
    assert begun <= answered <= time.monotonic()
    await desk.receive(b"GET /2")
    assert answered <= desk.client.waits_since <= time.monotonic()
    desk.client.make_room()
    assert desk.wire.ended == "abort"


async def test_t33_one_that_is_idle_is_closed_in_order() -> None:
    desk = Desk()
    await desk.receive(get(b"/1"))
    desk.client.make_room()
    assert desk.wire.ended == "close"


@pytest.mark.parametrize("after", [b"", b"GET /2"], ids=["idle", "in the next head"])
async def test_t33_an_answer_that_the_client_takes_is_not_cut_short(
    monkeypatch: pytest.MonkeyPatch, after: bytes
) -> None:
    desk = Desk()
    await desk.receive(get(b"/1"))
    await desk.receive(*[after] if after else [])
    assert desk.client.waits_since is not NEVER
    monkeypatch.setattr(desk.wire, "get_write_buffer_size", lambda: 1)
    assert desk.client.waits_since is NEVER
    monkeypatch.setattr(client, "TAKEN_WITHIN", 0.0)
    assert desk.client.waits_since is not NEVER
    desk.client.make_room()
    assert desk.wire.ended == "abort"


@pytest.mark.parametrize("paused", [False, True], ids=["between two requests", "at the end"])
async def test_t33_one_that_takes_no_answer_has_its_place_for_so_long(
    monkeypatch: pytest.MonkeyPatch, paused: bool
) -> None:
    desk = Desk(lambda _: After.KEEP if paused else After.CLOSE)
    monkeypatch.setattr(desk.wire, "get_write_buffer_size", lambda: 100_000)
    begun = time.monotonic()
    if paused:
        desk.client.pause_writing()
    await desk.receive(get(b"/1"))
    assert desk.client.waits_since is NEVER
    monkeypatch.setattr(client, "TAKEN_WITHIN", 0.0)
    assert begun <= desk.client.waits_since <= time.monotonic()
    desk.client.make_room()
    assert desk.wire.ended == "abort"


async def test_t33_one_that_was_refused_just_now_has_not_waited_for_long() -> None:
    desk = Desk(lambda _: After.LINGER)
    desk.client._began -= 1000
    begun = time.monotonic()
    await desk.receive(get(b"/1"))
    assert begun <= desk.client.waits_since <= time.monotonic()


async def test_t33_one_without_a_place_is_neither_read_nor_watched() -> None:
    desk = Desk(room=False)
    assert desk.wire.ended == "abort"
    await desk.receive(get(b"/1"))
    assert not desk.requests
    desk.client.connection_lost(None)
    assert desk.gone == 1
