"""Loops over real sockets: what leads back through a forwarder, which no address gives away (threat 34)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import cast

import pytest

from connectors.process.parsers import HostPort
from proxy.loops import MAX_HOPS
from proxy.settings import Installation, ProxySettings
from tests.peers.dialogue import OK, message
from tests.peers.inner_proxy import InnerProxy
from tests.peers.manifests import Manifest, connector, connector_class
from tests.peers.raw_client import connected
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, answering
from tests.proxy.transcripts.conftest import Serve

SAME = ProxySettings(installation=Installation(identity="one"))


class End(asyncio.Protocol):
    """One end of a connection that is passed on; `other` is its other one."""

    def __init__(self, forwarder: Forwarder, other: End | None = None) -> None:
        self._forwarder = forwarder
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.held = b""
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._forwarder.ends.append(self)
        if self.other is None:
            self._forwarder.pass_on(self)

    def data_received(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)
        else:
            self.held += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        if self.other and self.other.transport:
            self.other.transport.close()


class Forwarder:
    """Passes bytes on, as a ClusterIP or a NodePort does; `connections` that have come."""

    def __init__(self) -> None:
        self.connections = 0
        self.to = 0
        self.port = 0
        self.ends: list[End] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: End(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._tasks)
        for end in self.ends:
            assert end.transport is not None
            end.transport.abort()
            await end.lost.wait()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def pass_on(self, end: End) -> None:
        self.connections += 1
        self._tasks.append(asyncio.create_task(self._connect(end)))

    async def _connect(self, end: End) -> None:
        loop = asyncio.get_running_loop()
        _, end.other = await loop.create_connection(lambda: End(self, end), "127.0.0.1", self.to)
        assert end.other.transport is not None
        end.other.transport.write(end.held)


@pytest.fixture
async def forwarder(exits: AsyncExitStack) -> Forwarder:
    made = Forwarder()
    await made.start()
    exits.push_async_callback(made.stop)
    return made


async def asked(client: RawStream, target: bytes, host: bytes, *fields: bytes) -> bytes:
    """The head of the answer to a GET."""
    client.send(message(b"GET " + target + b" HTTP/1.1", b"Host: " + host, *fields))
    head = await client.read_head()
    length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    await client.read_exactly(length)
    return head


LOOP = b"HTTP/1.1 508 Loop Detected\r\n"
PATH = "/namespaces/default/connectors/tool"
FORMS = [
    pytest.param(b"/x", b"c-tool.default", id="host"),
    pytest.param(PATH.encode() + b"/x", b"proxy", id="path"),
    pytest.param(PATH.encode() + b"@more/x", b"proxy", id="extension"),
]


def looped(forwarder: Forwarder) -> list[Manifest]:
    """A Connector that leads back to itself by its address and by its extension, each naming it by path again."""
    extensions = [{"name": "more", "value": forwarder.address + PATH + "@more"}]
    kind = connector_class("extended", addressExtensions=[{"name": "more", "type": "string"}])
    return [kind, connector("tool", forwarder.address + PATH, "extended", addressExtensions=extensions)]


@pytest.mark.parametrize(("target", "host"), FORMS)
async def test_t34_a_loop_ends_after_one_turn(serve: Serve, forwarder: Forwarder, target: bytes, host: bytes) -> None:
    proxy = await serve(*looped(forwarder))
    forwarder.to = proxy.port
    async with connected(proxy.port) as client:
        for turn in range(1, 6):
            assert (await asked(client, target, host)).startswith(LOOP)
            assert proxy.metric("connectors_proxy_refusals_total", reason="LoopDetected") == turn
    assert forwarder.connections == 1  # kept, and used again


async def test_t34_a_loop_over_two_replicas_ends(serve: Serve, forwarder: Forwarder) -> None:
    """Either replica knows the other's mark."""
    manifests = looped(forwarder)
    one, two = [await serve(*manifests, settings=SAME) for _ in range(2)]
    forwarder.to = two.port
    async with connected(one.port) as client:
        assert (await asked(client, b"/x", b"c-tool.default")).startswith(LOOP)
    assert forwarder.connections == 1


async def test_t34_strangers_in_a_circle_end_after_one_round(serve: Serve, exits: AsyncExitStack) -> None:
    """Two installations that point at each other."""
    ways = Forwarder(), Forwarder()
    proxies = []
    for way in ways:
        await way.start()
        exits.push_async_callback(way.stop)
        proxies.append(await serve(connector("tool", way.address + PATH)))
    ways[0].to, ways[1].to = proxies[1].port, proxies[0].port
    async with connected(proxies[0].port) as client:
        assert (await asked(client, b"/x", b"c-tool.default")).startswith(LOOP)
    assert [way.connections for way in ways] == [1, 1]


async def chain(serve: Serve, forwarder: Forwarder, tool: RawUpstream, length: int) -> InnerProxy:
    """Connectors hop-1, hop-2 and so on; each leads to the one before, the first to the tool."""
    manifests = [connector("hop-1", tool.address)]
    for number in range(1, length):
        address = f"{forwarder.address}/namespaces/default/connectors/hop-{number}"
        manifests.append(connector(f"hop-{number + 1}", address))
    proxy = await serve(*manifests, settings=SAME)
    forwarder.to = proxy.port
    return proxy


@pytest.mark.parametrize("length", [2, MAX_HOPS])
async def test_a_chain_of_connectors_works(serve: Serve, forwarder: Forwarder, length: int) -> None:
    async with RawUpstream(answering(OK)) as tool:
        proxy = await chain(serve, forwarder, tool, length)
        async with connected(proxy.port) as client:
            for _ in range(3):
                assert (await asked(client, b"/x", b"c-hop-%d.default" % length)) == OK[:-2]
        assert tool.connections[0].received.count(b"GET /x HTTP/1.1\r\n") == 3
        assert len(set(tool.connections[0].marks)) == length


async def test_t34_more_than_eight_hops_end(serve: Serve, forwarder: Forwarder) -> None:
    async with RawUpstream(answering(OK)) as tool:
        proxy = await chain(serve, forwarder, tool, MAX_HOPS + 1)
        async with connected(proxy.port) as client:
            assert (await asked(client, b"/x", b"c-hop-9.default")).startswith(LOOP)
        assert tool.connections == []


async def test_the_mark_is_behind_the_clients_own_each_time(serve: Serve) -> None:
    async with RawUpstream(answering(OK), whole=True) as tool:
        proxy = await serve(connector("tool", tool.address))
        many = b"CDN-Loop: " + b", ".join(b"cdn-%d.example" % number for number in range(1000))
        async with connected(proxy.port) as client:
            for _ in range(4):
                await asked(client, b"/x", b"c-tool.default", many, b'CDN-Loop: "garbage', b"Connection: cdn-loop")
        heads = tool.connections[0].received.split(b"\r\n\r\n")[:-1]
        assert len(heads) == 4
        assert len(set(heads)) == 1
        lines = [line for line in heads[0].split(b"\r\n") if line.startswith(b"CDN-Loop: ")]
        assert lines[:2] == [many, b'CDN-Loop: "garbage']
        assert lines[2].startswith(b"CDN-Loop: connectors-")
        assert len(lines) == 3


async def test_t35_another_port_of_this_process_is_no_tool(serve: Serve) -> None:
    async with RawUpstream(answering(OK)) as admin, RawUpstream(answering(OK)) as beside:
        installation = Installation(listens=(HostPort("0.0.0.0", admin.port),))  # noqa: S104 - as in a pod
        settings = replace(ProxySettings(), installation=installation)
        manifests = connector("admin", admin.address), connector("beside", beside.address)
        proxy = await serve(*manifests, settings=settings)
        async with connected(proxy.port) as client:
            assert (await asked(client, b"/metrics", b"c-admin.default")).startswith(LOOP)
            assert (await asked(client, b"/metrics", b"c-beside.default")) == OK[:-2]
        assert all(not connection.received for connection in admin.connections)
