"""Interim responses: with turns for others between them, and only while the client takes them."""

from __future__ import annotations

import asyncio

import pytest

from connectors.objects.reasons import Reason
from proxy.relay import INTERIM_AT_ONCE, MAX_HEADS_AT_ONCE, End
from tests.proxy.test_client import turns
from tests.proxy.test_relay import ANSWER, started

HINTS = b"HTTP/1.1 103 Early Hints\r\nX: " + b"a" * 5000 + b"\r\n\r\n"


async def test_t31_many_interim_responses_are_passed_on_in_turns() -> None:
    desk = await started()
    hints = b"HTTP/1.1 103 Early Hints\r\nX: " + b"a" * 9000 + b"\r\n\r\n"
    desk.upstream.data_received(hints * 6 + ANSWER)
    assert MAX_HEADS_AT_ONCE <= len(desk.client.sent) < MAX_HEADS_AT_ONCE + len(hints)
    assert not desk.wire.reading
    await asyncio.wait_for(desk.over.wait(), 5)
    assert desk.client.sent == hints * 6 + ANSWER
    assert (desk.relay.end, desk.relay.client_reusable, desk.relay.upstream_reusable) == (End.DONE, True, True)


async def test_t31_so_many_interim_responses_are_passed_on_in_a_turn_however_short_they_are() -> None:
    """What is in one may cost 2 ms, however short it is; and heads may come for many requests at once."""
    desk = await started()
    short = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    desk.upstream.data_received(short * 3 * INTERIM_AT_ONCE + ANSWER)
    assert desk.client.sent == short * INTERIM_AT_ONCE
    assert not desk.wire.reading
    await asyncio.wait_for(desk.over.wait(), 5)
    assert desk.client.sent == short * 3 * INTERIM_AT_ONCE + ANSWER


async def test_an_interim_response_waits_for_no_turn() -> None:
    desk = await started()
    desk.upstream.data_received(HINTS + ANSWER)
    assert desk.client.sent == HINTS + ANSWER


async def test_t32_a_head_that_a_tool_does_not_end_counts_for_its_client() -> None:
    desk = await started()
    before = desk.relay.held
    desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 60_000)
    assert desk.relay.held >= before + 60_000
    desk.relay.client_lost()
    assert desk.relay.held <= before, "it is not kept until the garbage collector comes"


async def test_t31_interim_responses_wait_for_a_client_that_does_not_take_them() -> None:
    desk = await started()
    desk.relay.client_writable(False)
    desk.upstream.data_received(HINTS * 2 + ANSWER)
    await turns()
    # One was on its way when it was seen that the client is full: no more come.
    assert desk.client.sent == HINTS
    assert not desk.wire.reading
    desk.relay.client_writable(True)
    await asyncio.wait_for(desk.over.wait(), 5)
    assert desk.client.sent == HINTS * 2 + ANSWER


async def test_a_client_that_takes_none_for_too_long_is_cut_off() -> None:
    desk = await started()
    desk.relay.client_writable(False)
    desk.upstream.data_received(HINTS * 2)
    desk.relay.expired()
    assert desk.client.aborted
    assert desk.record.ending == "client timeout"


@pytest.mark.parametrize("full", [False, True])
async def test_what_waits_is_passed_on_when_the_tool_leaves(full: bool) -> None:
    desk = await started()
    desk.relay.client_writable(not full)
    desk.upstream.data_received(HINTS * 12 + ANSWER)
    desk.upstream.connection_lost(None)
    assert desk.client.sent == HINTS * 12 + ANSWER
    assert desk.relay.end is End.DONE


async def test_what_is_broken_behind_them_is_refused_in_its_turn() -> None:
    desk = await started()
    desk.upstream.data_received(HINTS * 12 + b"HTTP/1.1 200 OK\r\nContent-Length: 010\r\n\r\n")
    assert await asyncio.wait_for(desk.refusal(), 5) is Reason.UPSTREAM_PROTOCOL


async def test_t31_a_head_with_too_many_addresses_is_refused_on_both_roads() -> None:
    for size in (2, 300, 300):
        desk = await started()
        desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nLink: " + b"</a>, " * size + b"\r\nContent-Length: 0\r\n\r\n")
        if size == 2:
            assert desk.relay.end is End.DONE
        else:
            assert await desk.refusal() is Reason.UPSTREAM_PROTOCOL
