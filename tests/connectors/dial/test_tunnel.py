"""The way through a proxy, byte by byte."""

from __future__ import annotations

import asyncio

import pytest

from connectors.dial.failure import UpstreamProxyError
from connectors.dial.kind import DialFailure, FailureKind
from connectors.dial.tunnel import MAX_ANSWER, connected_through, login_failure
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream

TOOL = parse_address("https://tool.example")
ASKED = b"CONNECT tool.example:443 HTTP/1.1\r\nHost: tool.example:443\r\n"


def proxy_at(tool: RawUpstream, login: bytes | None = None) -> UpstreamProxy:
    value = SecretValue(login) if login else None
    return UpstreamProxy("lab", parse_address(tool.address), with_login=login is not None, login=value)


async def failed(proxy: RawUpstream, *pieces: bytes, login: bytes | None = None, ends: bool = False) -> DialFailure:
    """What is told where the proxy answers with these pieces."""
    dial = asyncio.ensure_future(connected_through(["127.0.0.1"], proxy_at(proxy, login), TOOL))
    connection = await proxy.accept()
    await connection.read_head()
    for piece in pieces:
        connection.send(piece)
        await asyncio.sleep(0)
    if ends:
        connection.close()
    with pytest.raises(UpstreamProxyError) as caught:
        await dial
    await connection.wait_closed()
    return caught.value.failure


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200\r\nVia: 1.1 squid\r\n\r\n",
        b"HTTP/1.1 204 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
async def test_a_tunnel_is_what_comes_behind_the_head(raw_upstream: RawUpstream, answer: bytes) -> None:
    dial = asyncio.ensure_future(connected_through(["127.0.0.1"], proxy_at(raw_upstream, b"u:p"), TOOL))
    connection = await raw_upstream.accept()
    assert await connection.read_head() == ASKED + b"Proxy-Authorization: Basic dTpw\r\n\r\n"
    for start in range(0, len(answer), 7):
        connection.send(answer[start : start + 7])
        await asyncio.sleep(0)
    with await dial as dialled:
        await asyncio.get_running_loop().sock_sendall(dialled, b"hello")
        assert await connection.read_exactly(5) == b"hello"


@pytest.mark.parametrize(("address", "tunnels"), [("http://tool.example", False), ("http://tool.example", True)])
async def test_http_needs_no_tunnel_unless_it_is_asked_for(
    raw_upstream: RawUpstream, address: str, tunnels: bool
) -> None:
    proxy = proxy_at(raw_upstream)
    way = proxy.tunnelling() if tunnels else proxy
    dial = asyncio.ensure_future(connected_through(["127.0.0.1"], way, parse_address(address)))
    connection = await raw_upstream.accept()
    if tunnels:
        assert await connection.read_head() == b"CONNECT tool.example:80 HTTP/1.1\r\nHost: tool.example:80\r\n\r\n"
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    (await dial).close()
    assert await connection.read_to_eof() == b""


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 403 canary\r\nX: canary\r\n\r\n<canary>", "answered CONNECT with status 403; does it let"),
        (b"HTTP/1.1 302 Found\r\nLocation: https://canary.example\r\n\r\n", "answered CONNECT with status 302"),
        (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "sent something before the tunnel was used"),
        (b"HTTP/2 200 OK\r\n\r\n", "did not answer CONNECT with HTTP/1.1"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "did not answer CONNECT with HTTP/1.1"),
        (b"SSH-2.0-canary\r\n\r\n", "did not answer CONNECT with HTTP/1.1"),
    ],
)
async def test_what_is_no_tunnel_is_told_by_its_number(raw_upstream: RawUpstream, answer: bytes, told: str) -> None:
    failure = await failed(raw_upstream, answer)
    assert failure.kind is FailureKind.UNREACHABLE
    assert failure.message.startswith(f"upstream proxy lab {told}")
    assert "canary" not in failure.message


async def test_credentials_that_are_refused_are_told_with_where_they_come_from(raw_upstream: RawUpstream) -> None:
    answer = b"HTTP/1.1 407 canary\r\nProxy-Authenticate: Basic\r\n\r\n"
    failure = await failed(raw_upstream, answer, login=b"robot:canary-password")
    assert failure == login_failure(proxy_at(raw_upstream, b"u:p"))
    assert failure.message == (
        "upstream proxy lab refused the credentials that the operator gave for it; an operator corrects their file or "
        "Secret"
    )
    assert "--upstream-proxy-credentials" in (await failed(raw_upstream, answer)).message


async def test_an_answer_is_read_up_to_a_limit(raw_upstream: RawUpstream) -> None:
    failure = await failed(raw_upstream, b"HTTP/1.1 200 OK\r\n", b"X: " + b"x" * MAX_ANSWER)
    assert failure.message == "upstream proxy lab did not answer CONNECT with HTTP/1.1"


async def test_a_proxy_that_breaks_off(raw_upstream: RawUpstream) -> None:
    failure = await failed(raw_upstream, b"HTTP/1.1 200 OK\r\n", ends=True)
    assert failure.message == "upstream proxy lab did not answer CONNECT with HTTP/1.1"


async def test_a_proxy_that_is_not_there(raw_upstream: RawUpstream) -> None:
    raw_upstream.stop_listening()
    with pytest.raises(UpstreamProxyError) as caught:
        await connected_through(["127.0.0.1"], proxy_at(raw_upstream), TOOL)
    assert caught.value.failure == DialFailure(FailureKind.REFUSED, "upstream proxy lab refuses connections")


async def test_who_is_cancelled_leaves_no_connection(raw_upstream: RawUpstream) -> None:
    dial = asyncio.ensure_future(connected_through(["127.0.0.1"], proxy_at(raw_upstream), TOOL))
    connection: RawStream = await raw_upstream.accept()
    await connection.read_head()
    dial.cancel()
    await connection.wait_closed()
    with pytest.raises(asyncio.CancelledError):
        await dial
