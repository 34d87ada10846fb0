"""Threat 36: strangers at the webhook's port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from connectors.process.clock import SystemClock
from connectors.process.parsers import HostPort
from connectors.tls.serving import Serving
from controller.admission.listener import MOST, BoundedListener
from controller.admission.metrics import AdmissionMetrics
from tests.controller.admission.handshakes import material, pair
from tests.peers.handshakes import client_context

CLOSED = "connectors_controller_webhook_connections_closed_total"


class Door:
    """A listener in front of a handler that answers once it may."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.inside = 0
        self.registry = CollectorRegistry()
        made = material()
        self.trusted = client_context(made.bundle)
        serving = Serving(lambda _: None)
        serving.serve(pair(made))
        self.manager = web.Server(self._handle, access_log=None)
        metrics = AdmissionMetrics(self.registry)
        self.listener = BoundedListener(self.manager, lambda: serving.now, SystemClock(), metrics)
        self._open: list[asyncio.StreamWriter] = []

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        self.listener.asked(request.protocol)
        self.inside += 1
        try:
            await self.free.wait()
            return web.Response(text="seen")
        finally:
            self.inside -= 1
            self.listener.answered(request.protocol)

    def closed(self, reason: str) -> float | None:
        return self.registry.get_sample_value(CLOSED, {"reason": reason})

    async def connect(self, tls: ssl.SSLContext | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = "localhost" if tls else None
        made = await asyncio.open_connection("127.0.0.1", self.listener.port, ssl=tls, server_hostname=name)
        self._open.append(made[1])
        return made

    async def ask(self, session: aiohttp.ClientSession) -> str:
        async with session.get(f"https://localhost:{self.listener.port}/") as answer:
            return await answer.text()

    async def stop(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self.listener.close()
        await self.manager.shutdown(1.0)
        await self.listener.closed()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    await made.listener.start(HostPort("127.0.0.1", 0))
    yield made
    await made.stop()


@pytest.fixture
async def session(door: Door) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=door.trusted, limit=0)) as session:
        yield session


@pytest.mark.parametrize("shaken", [False, True], ids=["in the handshake", "behind it"])
async def test_t36_connections_that_ask_nothing_make_room(
    shaken: bool, door: Door, session: aiohttp.ClientSession
) -> None:
    door.free.set()
    assert await door.ask(session) == "seen"
    silent = [await door.connect(door.trusted if shaken else None) for _ in range(MOST + 20)]
    assert await door.ask(session) == "seen", "on the connection that has asked, which none of these has cost its place"
    assert door.closed("made_room") == 21
    async with asyncio.timeout(10):
        assert await silent[0][0].read() == b"", "the first came first"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=door.trusted)) as other:
        assert await door.ask(other) == "seen"
    assert not silent[-1][0].at_eof()


async def test_t36_then_those_that_are_idle_make_room(door: Door, session: aiohttp.ClientSession) -> None:
    asking = [asyncio.create_task(door.ask(session)) for _ in range(MOST)]
    async with asyncio.timeout(20):
        while door.inside < MOST:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.01)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=door.trusted)) as other:
        with pytest.raises(aiohttp.ClientError):
            await door.ask(other)
        assert door.closed("no_room") == 1
        assert door.closed("made_room") == 0
        door.free.set()
        assert await asyncio.gather(*asking) == ["seen"] * MOST
        assert await door.ask(other) == "seen"
    assert door.closed("made_room") == 1


async def test_what_has_ended_takes_no_place(door: Door, session: aiohttp.ClientSession) -> None:
    for _ in range(MOST):
        _, writer = await door.connect()
        writer.write(b"no TLS at all\r\n\r\n")
        writer.transport.abort()
    async with asyncio.timeout(10):
        while door.closed("made_room"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    door.free.set()
    assert await door.ask(session) == "seen"
