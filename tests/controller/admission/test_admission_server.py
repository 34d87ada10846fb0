from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from connectors.process.clock import Clock, SystemClock
from connectors.process.parsers import HostPort
from connectors.tls.serving import Serving
from controller.admission.admission import MAX_BODY, PATH, WebhookServer
from controller.admission.certificates import Material
from controller.admission.listener import SILENCE_SECONDS
from controller.admission.metrics import AdmissionMetrics
from tests.controller.admission.handshakes import material, pair
from tests.peers.clock import FakeClock
from tests.peers.handshakes import client_context


class Handler:
    """Answers with the length of the body, once it may."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    async def answer(self, request: web.Request) -> web.Response:
        size = len(await request.read())
        self.begun.set()
        await self.free.wait()
        return web.Response(text=str(size))


@pytest.fixture
def made() -> Material:
    return material()


@pytest.fixture
def handler() -> Handler:
    return Handler()


def served(handler: Handler, serving: Serving, port: int = 0, clock: Clock | None = None) -> WebhookServer:
    metrics = AdmissionMetrics(CollectorRegistry())
    where = HostPort("127.0.0.1", port)
    return WebhookServer(handler.answer, where, lambda: serving.now, clock or SystemClock(), metrics)


@pytest.fixture
async def server(made: Material, handler: Handler) -> AsyncIterator[WebhookServer]:
    serving = Serving(lambda _: None)
    serving.serve(pair(made))
    started = served(handler, serving)
    assert started.port == 0
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
async def session(made: Material) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=client_context(made.bundle))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


def url(server: WebhookServer, path: str = PATH) -> str:
    return f"https://localhost:{server.port}{path}"


@pytest.mark.parametrize(
    ("method", "path", "size", "status"),
    [
        ("POST", PATH, 10, 200),
        ("POST", PATH, MAX_BODY, 200),
        ("POST", PATH, MAX_BODY + 1, 413),
        ("POST", "/other", 10, 404),
        ("GET", PATH, 0, 405),
    ],
)
async def test_what_is_served(
    method: str, path: str, size: int, status: int, server: WebhookServer, session: aiohttp.ClientSession
) -> None:
    async with session.request(method, url(server, path), data=io.BytesIO(b"x" * size)) as answer:
        assert answer.status == status
        if status == 200:
            assert await answer.text() == str(size)


async def test_nothing_is_unpacked(server: WebhookServer, session: aiohttp.ClientSession) -> None:
    packed = gzip.compress(b"x" * 1_000_000)
    async with session.post(url(server), data=packed, headers={"Content-Encoding": "gzip"}) as answer:
        assert (answer.status, await answer.text()) == (200, str(len(packed)))


async def test_running_reviews_are_finished(
    server: WebhookServer, handler: Handler, session: aiohttp.ClientSession
) -> None:
    handler.free.clear()
    asking = asyncio.create_task(session.post(url(server), data=b"abc"))
    await handler.begun.wait()
    stopping = asyncio.create_task(server.stop())
    with pytest.raises(aiohttp.ClientConnectorError):
        while True:
            async with aiohttp.ClientSession() as other, other.post(url(server), ssl=False):
                pass
    handler.free.set()
    async with await asking as answer:
        assert (answer.status, await answer.text()) == (200, "3")
    await stopping


async def test_a_connection_that_asks_nothing_is_closed(
    handler: Handler, made: Material, session: aiohttp.ClientSession
) -> None:
    serving = Serving(lambda _: None)
    serving.serve(pair(made))
    clock = FakeClock()
    server = served(handler, serving, clock=clock)
    await server.start()
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=client_context(made.bundle))
    writer.write(b"POST ")
    # Time passes by this clock alone: by the machine's, a loaded one took longer for a handshake than the silence.
    async with asyncio.timeout(5):
        while clock.until_next() > SILENCE_SECONDS:  # noqa: ASYNC110 - only asking tells that the handshake is over
            await asyncio.sleep(0.01)
    await clock.advance(SILENCE_SECONDS - 0.1)
    assert not reader.at_eof()
    await clock.advance(0.1)
    assert await reader.read() == b""
    writer.close()
    handler.free.clear()
    asking = asyncio.create_task(session.post(url(server), data=b"abc"))
    await handler.begun.wait()
    await clock.advance(2 * SILENCE_SECONDS)  # who has asked may wait for its answer
    handler.free.set()
    async with await asking as answer:
        assert answer.status == 200
    await server.stop()


async def test_a_port_that_is_taken(server: WebhookServer, handler: Handler) -> None:
    serving = Serving(lambda _: None)
    other = served(handler, serving, server.port)
    with pytest.raises(OSError, match="in use"):
        await other.start()
    await other.stop()
