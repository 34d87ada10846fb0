"""What a connection costs whose peer takes nothing: at most 64 KiB of buffers, beside its own objects (threat 32)."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import trustme

from proxy.holding import COST_SEALED
from tests.peers.fixtures import StartProxy
from tests.peers.handshakes import client_context
from tests.peers.manifests import auth, connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.trust import key_pair
from tests.peers.volume import Volume

pytestmark = pytest.mark.e2e

CLIENTS = 200
SEALED_CLIENTS = 60
KIB = 1024
MOST = (64 + 16) * KIB
"""Bytes of a connection: its buffers, and what it costs by itself, with its request and the tool's connection."""

CHUNK = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nX: " + b"a" * 7000 + b"\r\n\r\n"
PATH = b"/namespaces/default/connectors/"


class Flood(asyncio.Protocol):
    """A tool that sends for as long as it is read from, or reads nothing."""

    transport: asyncio.Transport | None = None
    piece = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport
        if b"/stuck " in data:
            self.transport.pause_reading()
        elif b"/interim " in data:
            self.transport.write(INTERIM * 90)
        elif b"/chunked " in data:
            self._begin(b"Transfer-Encoding: chunked", CHUNK)
        elif b"/long " in data:
            self._begin(b"Content-Length: 1000000000000", b"x" * 0x8000)

    def _begin(self, field: bytes, piece: bytes) -> None:
        assert self.transport
        self.transport.write(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")
        self.piece = piece
        self.resume_writing()

    def pause_writing(self) -> None:
        self.piece, self.waiting = b"", self.piece

    def resume_writing(self) -> None:
        assert self.transport
        self.piece = self.piece or self.waiting
        while self.piece and not self.transport.is_closing():
            self.transport.write(self.piece)

    waiting = b""


@asynccontextmanager
async def flooding() -> AsyncIterator[str]:
    tools: list[Flood] = []

    def made() -> Flood:
        tools.append(Flood())
        return tools[-1]

    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0, backlog=CLIENTS)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for tool in tools:
        if tool.transport is not None:  # accepted, and told of it
            tool.transport.abort()
    await asyncio.sleep(0)  # they close in this turn


def request(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([line + b" HTTP/1.1", b"Host: proxy", *fields, b"", b""])


async def sent(client: socket.socket, port: int, data: bytes) -> None:
    """As much of it as is taken within a second."""
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    await sent_on(client, data)


async def sent_on(client: socket.socket, data: bytes) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await asyncio.get_running_loop().sock_sendall(client, data)


# A head of 60 kB that does not end.
HEAD = b"GET /x HTTP/1.1\r\nHost: proxy\r\n" + (b"X: " + b"v" * 1000 + b"\r\n") * 59


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(request(b"GET " + PATH + b"none/x") * 6000, id="pipelined, refused, not read"),
        pytest.param(request(b"GET " + PATH + b"tool/long"), id="slow reader"),
        pytest.param(request(b"GET " + PATH + b"tool/chunked"), id="slow reader of chunks"),
        pytest.param(request(b"GET " + PATH + b"tool/interim"), id="interim responses, not read"),
        pytest.param(HEAD, id="unfinished head"),
        pytest.param(
            request(b"PUT " + PATH + b"tool/stuck", b"Content-Length: 100000000") + b"z" * 4_000_000, id="stuck upload"
        ),
    ],
)
async def test_t32_a_connection_whose_peer_takes_nothing_holds_little(
    tmp_path: Path, start_proxy: StartProxy, data: bytes
) -> None:
    async with flooding() as address:
        manifests = write(tmp_path / "manifests", connector("tool", address, auth=auth("basicAuth")))
        proxy = await start_proxy(manifests, "--access-log", "off")
        with ExitStack() as clients:
            some = [clients.enter_context(socket.socket()) for _ in range(CLIENTS + 10)]
            # What is made once, with the first connections, is not theirs.
            await asyncio.gather(*(sent(client, proxy.port, data) for client in some[:10]))
            rest = proxy.peak_memory
            await asyncio.gather(*(sent(client, proxy.port, data) for client in some[10:]))
            await asyncio.sleep(1)
            assert (proxy.peak_memory - rest) / CLIENTS <= MOST


@pytest.mark.parametrize(
    "data", [HEAD, request(b"GET " + PATH + b"tool/chunked")], ids=["unfinished head", "slow reader of chunks"]
)
async def test_t32_so_it_is_under_tls(
    tmp_path: Path, start_proxy: StartProxy, authority: trustme.CA, data: bytes
) -> None:
    """Beside what OpenSSL holds of its own."""
    volume = Volume(tmp_path / "tls")
    volume.put(key_pair(authority.issue_cert("127.0.0.1")))
    context = client_context(authority.cert_pem.bytes())
    async with flooding() as address:
        manifests = write(tmp_path / "manifests", connector("tool", address, auth=auth("basicAuth")))
        tls = ("--tls-cert", str(volume.certificate), "--tls-key", str(volume.key))
        proxy = await start_proxy(manifests, "--access-log", "off", *tls)
        with ExitStack() as clients:

            def begin(count: int) -> None:
                for _ in range(count):
                    plain = clients.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 10))
                    client = clients.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
                    client.sendall(data)

            await asyncio.to_thread(begin, 10)
            await asyncio.sleep(1)
            rest = proxy.peak_memory
            await asyncio.to_thread(begin, SEALED_CLIENTS)
            await asyncio.sleep(1)
            assert (proxy.peak_memory - rest) / SEALED_CLIENTS <= MOST + COST_SEALED


async def metric(proxy: ProxyProcess, name: str) -> float:
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as answer:
        text = await answer.text()
    return float(text.partition(f"\n{name} ")[2].partition("\n")[0])


async def seen(proxy: ProxyProcess, what: str) -> None:
    """Wait until the log says so."""
    async with asyncio.timeout(10):
        while what not in proxy.child.log:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def test_t32_beyond_max_memory_new_ones_are_closed_then_those_that_wait(
    tmp_path: Path, start_proxy: StartProxy
) -> None:
    """And it ends by itself, with nothing that an operator must do."""
    async with flooding() as address:
        manifests = write(tmp_path / "manifests", connector("tool", address, auth=auth("basicAuth")))
        proxy = await start_proxy(manifests, "--access-log", "off", "--max-memory", "6Mi")
        loop, name = asyncio.get_running_loop(), "connectors_proxy_connection_memory_bytes"
        with ExitStack() as clients:
            some = [clients.enter_context(socket.socket()) for _ in range(60)]
            await asyncio.gather(*(sent(client, proxy.port, HEAD) for client in some))
            async with asyncio.timeout(10):
                while await metric(proxy, name) < 60 * len(HEAD):  # noqa: ASYNC110 - another process counts it
                    await asyncio.sleep(0.1)
            for _ in range(60):
                client = clients.enter_context(socket.socket())
                await sent(client, proxy.port, b"")
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        assert (await loop.sock_recv(client, 100)).startswith(b"HTTP/1.1 503 ")
                        break
                await sent_on(client, HEAD)
            else:
                raise AssertionError("each of them was taken")
            # Of those that wait, as many are closed as make room for others.
            await seen(proxy, "hold less than 90 % of --max-memory")
        assert await metric(proxy, 'connectors_proxy_client_connections_closed_total{reason="memory"}') > 1
        async with aiohttp.ClientSession() as session, session.get(f"{proxy.path_form('none')}/") as answer:
            assert answer.status == 404
        assert proxy.child.log.count("--max-memory") == 2, "once when it begins, and once when it ends"


async def test_t32_memory_is_given_back(tmp_path: Path, start_proxy: StartProxy) -> None:
    manifests = write(tmp_path / "manifests", connector("tool", "http://127.0.0.1:1", auth=auth("basicAuth")))
    proxy = await start_proxy(manifests, "--access-log", "off")
    before = proxy.memory
    with ExitStack() as clients:
        some = [clients.enter_context(socket.socket()) for _ in range(600)]
        await asyncio.gather(*(sent(client, proxy.port, HEAD) for client in some))
        await asyncio.sleep(1.5)
        assert proxy.memory > before + 24 * KIB * KIB
    async with asyncio.timeout(5):
        while proxy.memory > before + 8 * KIB * KIB:  # noqa: ASYNC110 - the kernel has no event for it
            await asyncio.sleep(0.1)
