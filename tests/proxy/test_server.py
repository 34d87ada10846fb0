from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator

import pytest

from connectors.http.head import ParsedRequest
from connectors.http.plain import Plain
from connectors.objects.reasons import Reason, Refusal
from connectors.process.listening import Counts, Shared, listen
from proxy.client import After, ClientConnection
from proxy.outbox import Outbox
from proxy.server import Server
from proxy.settings import Limits, ProxySettings, Timeouts
from proxy.watchdog import Watchdog
from tests.peers.raw_client import connected

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Desk:
    """A server whose requests are answered when the test says so."""

    def __init__(self, host: str = "127.0.0.1", limits: Limits | None = None) -> None:
        self.malformed: list[Refusal] = []
        self.begun = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()
        settings = ProxySettings(host=host, port=0, limits=limits or Limits(), timeouts=Timeouts())
        self.server = Server(settings, Watchdog(1.0), self, Outbox(), self.refused)

    def refused(self, refusal: Refusal) -> str:
        self.malformed.append(refusal)
        return "an-id"

    def begin(self, data: bytes, client: ClientConnection) -> bool:
        """No head is known."""
        return False

    def handle(self, request: ParsedRequest, client: ClientConnection, plain: Plain | None) -> None:
        client.wait_for(asyncio.ensure_future(self._answered(client)))

    async def _answered(self, client: ClientConnection) -> None:
        self.begun.release()
        await self.go_on.wait()
        client.write(OK)
        client.over(After.CLOSE if client.draining else After.KEEP, time.monotonic())


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    await made.server.start()
    yield made
    await made.server.drain(0.0)


@pytest.mark.parametrize(
    ("listen", "ip", "local_ip", "own"),
    [
        ("127.0.0.1", "127.0.0.1", "", True),
        ("127.0.0.1", "::ffff:127.0.0.1", "", True),
        ("127.0.0.1", "127.0.0.2", "", False),
        # Another server of this machine, on another of its addresses and the same port.
        ("127.0.0.1", "10.0.0.5", "10.0.0.5", False),
        ("127.0.0.1", "192.0.2.1", "", False),
        ("0.0.0.0", "127.0.0.9", "", True),  # noqa: S104 - never connected to
        ("0.0.0.0", "10.0.0.5", "10.0.0.5", True),  # noqa: S104
        ("0.0.0.0", "10.0.0.6", "10.0.0.5", False),  # noqa: S104
    ],
)
async def test_own_addresses(listen: str, ip: str, local_ip: str, own: bool) -> None:
    server = Desk(listen).server
    await server.start()
    assert server.is_own_address(ip, server.port, local_ip) is own
    assert not server.is_own_address(ip, server.port + 1, local_ip)
    await server.drain(0.0)


def test_nothing_is_own_before_the_start() -> None:
    async def ask() -> bool:
        return Desk().server.is_own_address("127.0.0.1", 0, "")

    assert asyncio.run(ask()) is False


async def test_a_busy_port_is_an_os_error(desk: Desk) -> None:
    second = Server(ProxySettings(port=desk.server.port), Watchdog(1.0), desk, Outbox(), desk.refused)
    with pytest.raises(OSError, match="address already in use"):
        await second.start()


async def test_drain_ends_idle_connections_and_waits_for_running_requests(desk: Desk) -> None:
    async with connected(desk.server.port) as idle, connected(desk.server.port) as busy:
        desk.go_on.set()
        idle.send(GET)
        assert await idle.read_head() == OK
        await desk.begun.acquire()
        desk.go_on.clear()
        busy.send(GET)
        await desk.begun.acquire()
        port = desk.server.port
        drained = asyncio.ensure_future(desk.server.drain(30.0))
        await idle.wait_closed()
        assert not drained.done()
        with pytest.raises(ConnectionRefusedError):
            async with connected(port):
                pass
        desk.go_on.set()
        assert await busy.read_to_eof() == OK
        await drained


async def test_drain_cuts_off_what_takes_too_long(desk: Desk) -> None:
    async with connected(desk.server.port) as busy:
        busy.send(GET)
        await desk.begun.acquire()
        await desk.server.drain(0.01)
        await busy.wait_lost()
        assert busy.received == b""


async def test_a_malformed_head_is_answered_and_told(desk: Desk) -> None:
    async with connected(desk.server.port) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        answer = await client.read_to_eof()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"X-Connectors-Reason: RequestMalformed\r\nX-Request-Id: an-id\r\n" in answer
        assert [refusal.reason for refusal in desk.malformed] == [Reason.REQUEST_MALFORMED]


async def test_a_client_that_speaks_tls_is_said_to_do_so_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.create_default_context()
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"):
            async with connected(desk.server.port, tls=context):
                pass
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "use http://" in caplog.text
    assert [refusal.reason for refusal in desk.malformed] == [Reason.REQUEST_MALFORMED] * 2


async def test_where_requests_run_on_all_a_new_one_is_closed_which_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(limits=Limits(connections=1))
    await desk.server.start()
    async with connected(desk.server.port) as first:
        first.send(GET)
        await desk.begun.acquire()
        for _ in range(2):
            async with connected(desk.server.port) as second:
                await second.wait_closed()
        desk.go_on.set()
        assert await first.read_head() == OK
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "--max-connections" in caplog.text
    await desk.server.drain(0.0)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", GET], ids=["nothing", "half a head", "a request"])
async def test_t33_one_that_waits_makes_room(sent: bytes, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(limits=Limits(connections=2))
    await desk.server.start()
    desk.go_on.set()
    async with connected(desk.server.port) as first, connected(desk.server.port) as second:
        first.send(sent)
        if sent == GET:
            assert await first.read_head() == OK
        second.send(GET)
        assert await second.read_head() == OK
        async with connected(desk.server.port) as third:
            third.send(GET)
            assert await third.read_head() == OK
            await first.wait_closed()
            assert not first.received.removeprefix(OK)
            second.send(GET)
            assert await second.read_head() == OK
            assert len(desk.server.slots) == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    await desk.server.drain(0.0)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", GET, b"no request\r\n\r\n"])
async def test_t33_one_that_is_gone_holds_no_place(desk: Desk, sent: bytes) -> None:
    for reset in (False, True):
        async with connected(desk.server.port) as client:
            client.send(sent)
            if sent == GET:
                await desk.begun.acquire()
            async with asyncio.timeout(5):
                while len(desk.server.slots) != 1:  # noqa: ASYNC110 - the kernel tells the server
                    await asyncio.sleep(0)
            if reset:
                client.reset()
        async with asyncio.timeout(5):
            while len(desk.server.slots):  # noqa: ASYNC110 - as above
                await asyncio.sleep(0)


async def test_shared_sockets_are_accepted_from_and_counted() -> None:
    listeners, counts = await listen("127.0.0.1", 0, 16), Counts.make(2)
    desk = Desk(limits=Limits(connections=1))
    await desk.server.start(Shared(listeners, counts, 0))
    assert desk.server.port == listeners[0].getsockname()[1]
    assert desk.server.is_own_address("127.0.0.1", desk.server.port, "")
    async with connected(desk.server.port) as client:
        client.send(GET)
        await desk.begun.acquire()
        assert counts.of(0) == 1
        async with connected(desk.server.port) as one_too_many:
            await one_too_many.wait_closed()
        assert counts.of(0) == 1
        draining = asyncio.create_task(desk.server.drain(5))
        desk.go_on.set()
        assert (await client.read_to_eof()).startswith(b"HTTP/1.1 200 OK\r\n")
        await draining
    assert counts.of(0) != 1
