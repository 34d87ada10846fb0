from __future__ import annotations

import asyncio

from proxy.course import Postponed


async def test_bytes_come_back_in_a_later_turn_and_reading_is_told() -> None:
    seen: list[bytes] = []
    told: list[bool] = []
    loop = asyncio.get_running_loop()
    postponed = Postponed(loop, seen.append, lambda: told.append(bool(postponed)))
    postponed.put(b"abc")
    assert (seen, told) == ([], [True])
    await asyncio.sleep(0)
    assert (seen, told) == ([b"abc"], [True, False])


async def test_flush_goes_on_until_nothing_is_left() -> None:
    seen: list[bytes] = []

    def go_on(data: bytes) -> None:
        seen.append(data[:1])
        if data[1:]:
            postponed.put(data[1:])

    postponed = Postponed(asyncio.get_running_loop(), go_on, lambda: None)
    postponed.put(b"abc")
    postponed.flush()
    assert seen == [b"a", b"b", b"c"]
    await asyncio.sleep(0)
    assert seen == [b"a", b"b", b"c"]


async def test_what_is_dropped_does_not_come_back() -> None:
    seen: list[bytes] = []
    postponed = Postponed(asyncio.get_running_loop(), seen.append, lambda: None)
    postponed.put(b"abc")
    postponed.drop()
    assert not postponed
    await asyncio.sleep(0)
    assert seen == []
