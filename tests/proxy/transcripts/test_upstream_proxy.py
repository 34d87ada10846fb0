"""Requests that go through an upstream proxy, byte by byte: what it sees, what the tool sees, what the client gets."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
import trustme

from connectors.dial.dial_settings import DialSettings
from connectors.dial.egress_settings import EgressSettings, parse_upstream_proxies
from connectors.dial.guard import DialGuard
from connectors.objects.secret import SecretValue
from connectors.snapshot import Changes
from proxy.settings import ProxySettings, Timeouts
from tests.peers.dialogue import HOST, OK, get, message
from tests.peers.inner_proxy import InnerProxy
from tests.peers.manifests import Manifest, auth, bearer_token, connector
from tests.peers.raw_client import connect
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream
from tests.proxy.transcripts.conftest import Serve

TOKEN = "canary-71aa-token"
BEARER = f"Authorization: Bearer {TOKEN}".encode()
OPENED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CONNECT = message(b"CONNECT tool.example:443 HTTP/1.1", b"Host: tool.example:443")
BASIC = b"Proxy-Authorization: Basic cm9ib3Q6Y2FuYXJ5"
"""Of robot:canary."""


def choosing(name: str) -> dict[str, Any]:
    """The metadata of a Connector that chooses a proxy."""
    return {"annotations": {"connectors.cpaas.io/upstream-proxy": name}}


@dataclass(frozen=True, slots=True)
class Line:
    """A client, the proxy, and an upstream proxy that the test plays; the tool is behind it, and nowhere else."""

    inner: InnerProxy
    upstream: RawUpstream
    client: RawStream

    def asks(self, target: bytes = b"/x", *lines: bytes) -> None:
        """The client sends a GET."""
        self.client.send(get(target, *lines).replace(b"<proxy>", HOST))

    async def answered(self) -> str:
        """All of an answer that has a length, as text."""
        head = await self.client.read_head()
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length, head
        return (head + await self.client.read_exactly(int(length[1]))).decode()

    async def logs_in(self, login: bytes) -> None:
        """The upstream proxy's credentials become known, or others."""
        await self.inner.store.follow(Changes(logins={"default": SecretValue(login)}))


Start = Callable[..., Awaitable[Line]]
"""(address, *, with_login=False, guard=DialGuard(loopback=True), timeouts=Timeouts(), **spec) -> Line"""


@pytest.fixture
def line(exits: AsyncExitStack, serve: Serve) -> Start:
    async def start(
        address: str,
        *,
        with_login: bool = False,
        guard: DialGuard | None = None,
        timeouts: Timeouts | None = None,
        **spec: Any,
    ) -> Line:
        upstream = await exits.enter_async_context(RawUpstream())
        proxies = parse_upstream_proxies(f"{upstream.address},lab=http://127.0.0.1:1")
        egress = EgressSettings(proxies, files=(("default", "/nowhere"),) if with_login else ())
        dialing = DialSettings(guard or DialGuard(loopback=True), egress=egress)
        settings = ProxySettings(dialing=dialing, timeouts=timeouts or Timeouts())
        inner = await serve(tool(address, **spec), bearer_token("token", TOKEN), settings=settings)
        client = await connect(inner.port)
        exits.callback(client.close)
        return Line(inner, upstream, client)

    return start


def tool(address: str, **spec: Any) -> Manifest:
    return connector("tool", address, "generic", auth=auth("bearerAuth", "token"), **spec)


async def speaks_tls(stream: RawStream, context: ssl.SSLContext) -> None:
    """From now on the tool is at the other end of the tunnel, and shakes hands."""
    loop = asyncio.get_running_loop()
    stream._transport = await loop.start_tls(stream.transport, stream, context, server_side=True)


@pytest.fixture
def tool_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tool.example").configure_cert(context)
    return context


async def test_an_http_tool_is_asked_for_by_its_whole_url(line: Start) -> None:
    talk = await line("http://tool.example:81/base", with_login=True)
    await talk.logs_in(b"robot:canary")
    seen: list[bytes] = []
    asked = (b"Accept: */*", b"Proxy-Connection: keep-alive", b"Cookie: a=b")
    talk.asks(b"/x?0", *asked)
    proxy = await talk.upstream.accept()
    for number in range(4):  # from the third on what was decided is remembered
        if number:
            talk.asks(b"/x?%d" % number, *asked)
        seen.append(await proxy.read_head())
        proxy.send(OK)
        assert (await talk.answered()).endswith("ok")
    assert seen == [
        message(
            b"GET http://tool.example:81/base/x?%d HTTP/1.1" % number,
            *(b"Host: tool.example:81", b"Accept: */*", b"Cookie: a=b", BEARER, BASIC),
        )
        for number in range(4)
    ]
    assert len(talk.upstream.connections) == 1


async def test_what_a_client_says_to_a_proxy_is_not_said_to_this_one(line: Start) -> None:
    talk = await line("http://tool.example")
    talk.asks(b"/x", b"Proxy-Authorization: Basic Zm9vOmJhcg==")
    proxy = await talk.upstream.accept()
    assert b"proxy-authorization" not in (await proxy.read_head()).lower()


async def test_an_https_tool_is_spoken_to_in_a_tunnel(line: Start, tool_tls: ssl.SSLContext) -> None:
    talk = await line("https://tool.example/base")
    talk.asks(b"/x")
    proxy = await talk.upstream.accept()
    assert await proxy.read_head() == CONNECT
    proxy.send(OPENED)
    await speaks_tls(proxy, tool_tls)
    for target in (b"/x", b"/y", b"/z"):
        assert await proxy.read_head() == message(b"GET /base" + target + b" HTTP/1.1", b"Host: tool.example", BEARER)
        # A challenge of the tool's own, which looks like the proxy's.
        proxy.send(b"HTTP/1.1 407 Mine\r\nContent-Length: 0\r\n\r\n")
        assert (await talk.answered()).startswith("HTTP/1.1 407 Mine\r\n")
        if target != b"/z":
            talk.asks(b"/y" if target == b"/x" else b"/z")
    assert len(talk.upstream.connections) == 1


async def test_nothing_is_sent_to_who_is_not_the_tool(line: Start, server_tls: ssl.SSLContext) -> None:
    talk = await line("https://tool.example")
    talk.asks()
    proxy = await talk.upstream.accept()
    await proxy.read_head()
    proxy.send(OPENED)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        # One of the same authority for another name: who opens TLS to look into it.
        await speaks_tls(proxy, server_tls)
    answer = await talk.answered()
    assert "X-Connectors-Reason: UpstreamTLS" in answer
    assert "(through upstream proxy default)" in answer
    assert TOKEN.encode() not in proxy.received


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (b"403 Forbidden", "upstream proxy default answered CONNECT with status 403"),
        (b"407 Who", "upstream proxy default asks for credentials"),
        (b"502 Bad", "upstream proxy default answered CONNECT with status 502"),
    ],
)
async def test_a_tunnel_that_is_refused(line: Start, status: bytes, told: str) -> None:
    talk = await line("https://tool.example")
    talk.asks()
    proxy = await talk.upstream.accept()
    await proxy.read_head()
    proxy.send(b"HTTP/1.1 " + status + b"\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
    answer = await talk.answered()
    assert answer.startswith("HTTP/1.1 502 ")
    assert "X-Connectors-Reason: UpstreamUnreachable" in answer
    assert told in answer
    assert "127.0.0.1" not in answer
    await proxy.wait_closed()


async def test_credentials_that_an_upstream_proxy_refuses_are_not_asked_of_the_client(line: Start) -> None:
    talk = await line("http://tool.example", with_login=True)
    await talk.logs_in(b"robot:canary")
    for _ in range(4):  # also where such an answer was seen before
        talk.asks()
        proxy = await talk.upstream.accept()
        await proxy.read_head()
        proxy.send(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n")
        answer = await talk.answered()
        assert answer.startswith("HTTP/1.1 502 ")
        assert "X-Connectors-Reason: UpstreamUnreachable" in answer
        assert "upstream proxy default refused the credentials that the operator gave for it" in answer


async def test_while_its_credentials_are_not_known_an_upstream_proxy_is_not_dialled(line: Start) -> None:
    talk = await line("https://tool.example", with_login=True)
    talk.asks()
    answer = await talk.answered()
    assert "X-Connectors-Reason: UpstreamUnreachable" in answer
    assert "upstream proxy default cannot be used: the credentials that the operator gave" in answer
    assert talk.upstream.connections == []


async def test_t13_a_connection_does_not_outlive_the_login_that_it_was_made_with(line: Start) -> None:
    talk = await line("http://tool.example", with_login=True)
    await talk.logs_in(b"robot:first")
    talk.asks()
    first = await talk.upstream.accept()
    await first.read_head()
    first.send(OK)
    await talk.answered()
    await talk.logs_in(b"robot:canary")
    await first.wait_closed()
    talk.asks()
    assert BASIC in await (await talk.upstream.accept()).read_head()


async def test_a_websocket_to_an_http_tool_goes_through_a_tunnel(line: Start) -> None:
    talk = await line("http://tool.example:81")
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: k", b"Sec-WebSocket-Version: 13")
    talk.asks(b"/socket", *upgrade)
    proxy = await talk.upstream.accept()
    assert await proxy.read_head() == message(b"CONNECT tool.example:81 HTTP/1.1", b"Host: tool.example:81")
    proxy.send(OPENED)
    assert (await proxy.read_head()).startswith(b"GET /socket HTTP/1.1\r\nHost: tool.example:81\r\n")
    proxy.send(message(b"HTTP/1.1 101 Go", b"Connection: Upgrade", b"Upgrade: websocket"))
    assert (await talk.client.read_head()).startswith(b"HTTP/1.1 101 ")
    talk.client.send(b"ping")
    assert await proxy.read_exactly(4) == b"ping"
    proxy.send(b"pong")
    assert await talk.client.read_exactly(4) == b"pong"


@pytest.mark.parametrize(
    ("address", "ranges"),
    [
        ("http://169.254.169.254", "link-local"),
        ("https://[fd00:ec2::254]", "metadata"),
        ("https://[64:ff9b::169.254.169.254]", "link-local"),
        ("http://0.0.0.0:8081", "unspecified"),
        ("https://[64:ff9b::127.0.0.1]", "loopback"),
    ],
)
async def test_t09_what_must_not_be_dialled_from_here_is_not_asked_of_a_proxy(
    line: Start, address: str, ranges: str
) -> None:
    talk = await line(address, guard=DialGuard(allow=DialSettings().guard.allow, loopback=ranges != "loopback"))
    talk.asks()
    answer = await talk.answered()
    assert "X-Connectors-Reason: TargetDenied" in answer
    assert f"may not be dialled ({ranges})" in answer
    assert talk.upstream.connections == []


async def test_t09_the_guard_judges_the_address_of_the_proxy(line: Start) -> None:
    talk = await line("https://tool.example", guard=DialGuard())
    talk.asks()
    answer = await talk.answered()
    assert "X-Connectors-Reason: TargetDenied" in answer
    assert "upstream proxy default may not be dialled (loopback); an operator allows it by --allow-upstream" in answer
    assert talk.upstream.connections == []


async def test_a_silent_proxy_costs_the_time_of_a_dial(line: Start) -> None:
    talk = await line("https://tool.example", timeouts=Timeouts(connect=0.2))
    talk.asks()
    proxy = await talk.upstream.accept()
    answer = await talk.answered()
    assert "X-Connectors-Reason: UpstreamTimeout" in answer
    assert "tool.example:443 was not reached through upstream proxy default in time" in answer
    await proxy.wait_closed()


async def test_another_proxy_and_none_are_chosen_by_name(line: Start) -> None:
    talk = await line("https://tool.example", metadata=choosing("lab"))
    talk.asks()
    assert "upstream proxy lab refuses connections" in await talk.answered()
    talk.inner.swap(tool("https://127.0.0.1:1", metadata=choosing("none")), bearer_token("token", TOKEN))
    talk.asks()
    assert "127.0.0.1:1 refuses connections; is the tool running?" in await talk.answered()
    talk.inner.swap(tool("https://tool.example", metadata=choosing("other")), bearer_token("token", TOKEN))
    talk.asks()
    answer = await talk.answered()
    assert "X-Connectors-Reason: ConnectorInvalid" in answer
    assert "names no upstream proxy of this installation; write default, lab or none" in answer
    assert talk.upstream.connections == []
