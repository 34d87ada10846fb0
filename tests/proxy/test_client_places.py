"""A place for a connection: whether there is one, since when it is held for nothing, and how it is given up."""

from __future__ import annotations

import asyncio
import time

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


async def test_t33_one_without_a_place_is_neither_read_nor_watched() -> None:
    desk = Desk(room=False)
    assert desk.wire.ended == "abort"
    await desk.receive(get(b"/1"))
    assert not desk.requests
    desk.client.connection_lost(None)
    assert desk.gone == 1
