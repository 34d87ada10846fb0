"""Probes through an upstream proxy: the way that traffic goes (threat 23)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import pytest
import trustme

from connectors.dial.fetch import HttpRequest
from connectors.dial.guard import DialGuard
from connectors.dial.kind import FailureKind
from connectors.dial.upstream_proxy import UpstreamProxy
from connectors.objects.addresses import parse_address
from connectors.objects.secret import SecretValue
from tests.connectors.dial.sending import failure_of, get, header, sending_client
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LOGIN = SecretValue(b"robot:canary")
BASIC = b"Proxy-Authorization: Basic cm9ib3Q6Y2FuYXJ5\r\n"


def through(upstream: RawUpstream, address: str, login: SecretValue | None = LOGIN) -> HttpRequest:
    made = UpstreamProxy("lab", parse_address(upstream.address), with_login=True, login=login)
    return replace(get(address, "/x", header("X-Token", "t")), proxy=made)


async def test_t23_a_probe_of_an_http_tool_asks_for_its_whole_url(raw_upstream: RawUpstream) -> None:
    async with sending_client() as client:
        asked = asyncio.ensure_future(client.send(through(raw_upstream, "http://tool.example:81"), read_body=True))
        proxy = await raw_upstream.accept()
        head = await proxy.read_head()
        proxy.send(OK)
        assert (await asked).body == b"ok"
    assert head.startswith(b"GET http://tool.example:81/x HTTP/1.1\r\nHost: tool.example:81\r\n")
    assert head.endswith(BASIC + b"\r\n")


async def test_t23_a_probe_of_an_https_tool_goes_through_a_tunnel(
    raw_upstream: RawUpstream, authority: trustme.CA
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tool.example").configure_cert(context)
    async with sending_client(authority) as client:
        asked = asyncio.ensure_future(client.send(through(raw_upstream, "https://tool.example"), read_body=True))
        proxy = await raw_upstream.accept()
        opening = await proxy.read_head()
        proxy.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await _speaks_tls(proxy, context)
        head = await proxy.read_head()
        proxy.send(OK)
        assert (await asked).body == b"ok"
    assert opening == b"CONNECT tool.example:443 HTTP/1.1\r\nHost: tool.example:443\r\n" + BASIC + b"\r\n"
    assert head.startswith(b"GET /x HTTP/1.1\r\nHost: tool.example\r\n")
    assert b"Proxy-Authorization" not in head


async def _speaks_tls(stream: RawStream, context: ssl.SSLContext) -> None:
    loop = asyncio.get_running_loop()
    stream._transport = await loop.start_tls(stream.transport, stream, context, server_side=True)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_credentials_that_are_refused(raw_upstream: RawUpstream, scheme: str) -> None:
    async with sending_client() as client:
        asked = asyncio.ensure_future(failure_of(client, through(raw_upstream, f"{scheme}://tool.example")))
        proxy = await raw_upstream.accept()
        await proxy.read_head()
        proxy.send(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
        failure = await asked
    assert failure.kind is FailureKind.UNREACHABLE
    assert failure.message.startswith("upstream proxy lab refused the credentials that the operator gave for it")


async def test_a_tools_own_407_is_its_answer(raw_upstream: RawUpstream) -> None:
    async with sending_client() as client:
        asked = asyncio.ensure_future(client.send(get(raw_upstream.address), read_body=True))
        tool = await raw_upstream.accept()
        await tool.read_head()
        tool.send(b"HTTP/1.1 407 Mine\r\nContent-Length: 0\r\n\r\n")
        assert (await asked).status == 407


@pytest.mark.parametrize(
    ("address", "login", "kind", "told"),
    [
        ("http://169.254.169.254", LOGIN, FailureKind.DENIED, "169.254.169.254 may not be dialled (link-local)"),
        ("https://[fd00:ec2::254]", LOGIN, FailureKind.DENIED, "may not be dialled (metadata)"),
        ("https://tool.example", None, FailureKind.UNREACHABLE, "upstream proxy lab cannot be used"),
    ],
)
async def test_t09_what_must_not_be_asked_of_a_proxy(
    raw_upstream: RawUpstream, address: str, login: SecretValue | None, kind: FailureKind, told: str
) -> None:
    async with sending_client() as client:
        failure = await failure_of(client, through(raw_upstream, address, login))
    assert failure.kind is kind
    assert told in failure.message
    assert raw_upstream.connections == []


async def test_t09_the_guard_judges_the_proxys_address(raw_upstream: RawUpstream) -> None:
    async with sending_client(guard=DialGuard()) as client:
        failure = await failure_of(client, through(raw_upstream, "https://tool.example"))
    assert failure.message.startswith("upstream proxy lab may not be dialled (loopback)")
    assert raw_upstream.connections == []


async def test_a_proxy_that_is_not_there(raw_upstream: RawUpstream) -> None:
    raw_upstream.stop_listening()
    async with sending_client() as client:
        failure = await failure_of(client, through(raw_upstream, "https://tool.example"))
    assert (failure.kind, failure.message) == (FailureKind.REFUSED, "upstream proxy lab refuses connections")
