"""What one connection holds: its reads are bounded by that, and its answers by what the client takes (threat 32)."""

from __future__ import annotations

import asyncio

import pytest

from connectors.objects.reasons import Reason
from proxy.buffers import LEAST_PIECE, PIECE, UNSENT
from proxy.client import MAX_BUFFERED
from proxy.settings import Limits
from tests.proxy.test_client import Desk, get, turns


def read(desk: Desk, data: bytes) -> bytes:
    """As a loop reads, while anything is read; gives back what stays with the kernel."""
    while data and desk.wire.reading and not desk.wire.ended:
        buffer = desk.client.get_buffer(-1)
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        desk.client.buffer_updated(count)
        assert not any(buffer), "what was read stays in a buffer that is lent to others"
        data = data[count:]
    return data


@pytest.mark.parametrize("beginning", [b"", b"GET /"], ids=["whole heads", "in parts"])
async def test_t32_what_is_pipelined_is_read_no_further_than_is_held(beginning: bytes) -> None:
    desk = Desk()
    desk.hold = asyncio.Event()
    read(desk, beginning)
    sent = get(b"/")[len(beginning) :] + get(b"/1") * 10_000
    left = read(desk, sent)
    assert desk.requests == [b"/"]
    assert len(sent) - len(left) <= MAX_BUFFERED + LEAST_PIECE + len(get(b"/"))


async def test_t32_a_body_that_waits_is_read_no_further() -> None:
    desk = Desk()
    desk.hold = asyncio.Event()
    body = bytes(1024 * 1024)
    left = read(desk, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n" + body)
    assert len(body) - len(left) <= MAX_BUFFERED + LEAST_PIECE


async def test_t32_a_head_is_read_until_it_is_too_long() -> None:
    desk = Desk()
    sent = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100_000
    left = read(desk, sent)
    assert [refusal.reason for refusal in desk.refusals] == [Reason.HEAD_TOO_LARGE]
    assert len(sent) - len(left) <= Limits().head_bytes + LEAST_PIECE + PIECE


async def test_t32_no_answer_is_added_to_one_that_is_not_taken() -> None:
    desk = Desk()
    assert desk.wire.high == UNSENT
    desk.client.pause_writing()
    left = read(desk, get(b"/1") * 10_000)
    await turns()
    assert desk.requests == []
    assert len(get(b"/1")) * 10_000 - len(left) <= MAX_BUFFERED + PIECE


async def test_requests_far_ahead_stay_unread_from_one_request_to_the_next() -> None:
    desk = Desk()
    desk.hold = asyncio.Event()
    many = get(b"/") * (2 * MAX_BUFFERED // len(get(b"/")))
    await desk.receive(many)
    assert not desk.wire.reading
    desk.hold.set()
    desk.hold = asyncio.Event()
    while len(desk.requests) < 3:
        held, desk.hold = desk.hold, asyncio.Event()
        held.set()
        await turns()
        assert not desk.wire.reading
    held, desk.hold = desk.hold, None
    held.set()
    for _ in many:
        await asyncio.sleep(0)
    assert desk.wire.reading
    assert len(desk.requests) == many.count(b"GET")
