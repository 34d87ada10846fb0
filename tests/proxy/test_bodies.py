from __future__ import annotations

from connectors.http.body import MAX_CHUNKS
from tests.proxy.test_client import turns
from tests.proxy.test_relay import ANSWER, started


async def test_back_pressure_goes_through() -> None:
    desk = await started()
    desk.relay.client_writable(False)
    assert not desk.wire.reading
    desk.relay.client_writable(True)
    assert desk.wire.reading
    desk.upstream.pause_writing()
    assert desk.client.paused
    desk.upstream.resume_writing()
    assert not desk.client.paused
    desk.upstream.data_received(ANSWER)
    await desk.over.wait()


async def test_tiny_chunks_of_the_tool_are_relayed_in_turns() -> None:
    desk = await started()
    body = b"1\r\nx\r\n" * (3 * MAX_CHUNKS) + b"0\r\n\r\n"
    desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert 0 < desk.client.sent.count(b"x") <= MAX_CHUNKS
    assert not desk.wire.reading
    await desk.over.wait()
    assert desk.client.sent.endswith(body)
    assert desk.relay.held_upstream, "proxy/exchange.py lets the tool be read again"
    assert desk.relay.upstream_reusable


async def test_tiny_chunks_of_a_tool_that_is_gone_are_relayed_to_the_end() -> None:
    desk = await started()
    body = b"1\r\nx\r\n" * (3 * MAX_CHUNKS) + b"0\r\n\r\n"
    desk.upstream.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    desk.upstream.connection_lost(ConnectionResetError())
    await desk.over.wait()
    assert desk.client.sent.endswith(body)
    assert not desk.client.aborted


async def test_tiny_chunks_of_the_client_are_relayed_in_turns_and_the_next_request_stays() -> None:
    desk = await started(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    body = b"1\r\nx\r\n" * (2 * MAX_CHUNKS) + b"0\r\n\r\n"
    assert desk.relay.from_client(body + b"next") == b""
    assert desk.client.paused
    await turns()
    assert desk.wire.sent == desk.head + body
    assert desk.client.kept == b"next"
    assert not desk.client.paused
    desk.upstream.data_received(ANSWER)
    await desk.over.wait()
    assert desk.relay.client_reusable
