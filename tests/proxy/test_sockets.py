from __future__ import annotations

import asyncio

from proxy.sockets import peer_has_left, reset_when_closed, room_of
from tests.proxy.test_buffers_lent import connection
from tests.proxy.test_client import Wire
from tests.proxy.test_splice import until


async def test_t32_as_much_as_there_is_room_for_is_taken_at_once() -> None:
    async with connection() as (peer, end):
        peer.transport.pause_reading()
        for _ in range(100):
            if (room := room_of(end.own)) < 16 * 1024:
                break
            end.own.write(bytes(room))
            await asyncio.sleep(0)
            assert not end.full
        else:
            raise AssertionError("there is room without an end")
        end.own.write(bytes(64 * 1024 * 1024))
        assert end.full
        assert room_of(end.own) < 512 * 1024


async def test_where_it_cannot_be_known_there_is_none() -> None:
    assert room_of(None) == 0
    assert room_of(Wire()) == 0
    async with connection() as (_, end):
        end.own.abort()
        assert room_of(end.own) == 0


async def test_a_peer_that_has_left_is_known_without_reading() -> None:
    async with connection() as (peer, end):
        end.own.pause_reading()
        assert not peer_has_left(end.own)
        peer.close()
        await until(lambda: peer_has_left(end.own))


async def test_a_reset_is_seen_as_one() -> None:
    async with connection() as (peer, end):
        reset_when_closed(end.own)
        end.own.abort()
        await peer.wait_closed()
        assert isinstance(peer.error, ConnectionResetError)
