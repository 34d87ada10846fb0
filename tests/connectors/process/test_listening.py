from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.process.listening import ABSENT, Acceptor, Counts, Shared, listen
from connectors.process.parsers import EVERYWHERE
from tests.peers.tools import LACKING

ROOT = Path(__file__).parents[3]
WORKER = """
import asyncio, socket, sys
from connectors.process.listening import Acceptor, Counts, Shared
from connectors.process.run import run

class Told(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(sys.argv[3].encode())
    def connection_lost(self, error):
        acceptor.gone()

async def main():
    global acceptor
    listener, counts = socket.socket(fileno=int(sys.argv[1])), Counts(int(sys.argv[2]), 2)
    listener.setblocking(False)
    acceptor = Acceptor(Shared([listener], counts, int(sys.argv[3])), Told)
    acceptor.start()
    print("ready", flush=True)
    await asyncio.sleep(60)

run(main())
"""


class Greeting(asyncio.Protocol):
    """Says a letter and closes, of which the acceptor is not told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"a")
        transport.close()


async def said(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read(1)
    finally:
        writer.close()
        await writer.wait_closed()


async def port_of(host: str = "127.0.0.1") -> tuple[list[socket.socket], int]:
    listeners = await listen(host, 0, 64)
    return listeners, listeners[0].getsockname()[1]


async def test_a_name_of_two_addresses_is_listened_on_both() -> None:
    listeners = await listen("localhost", 0, 64)
    assert {listener.family for listener in listeners} <= {socket.AF_INET, socket.AF_INET6}
    assert all(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for listener in listeners)
    for listener in listeners:
        listener.close()


async def test_an_address_of_a_family_that_the_kernel_lacks_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def lacking(family: int = -1, *rest: int, **more: int) -> socket.socket:
        if family in lacked:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return made(family, *rest, **more)

    async def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        kind, protocol = socket.SOCK_STREAM, socket.IPPROTO_TCP
        four = (socket.AF_INET, kind, protocol, "", ("127.0.0.1", 0))
        return [(socket.AF_INET6, kind, protocol, "", ("::1", 0, 0, 0)), four]

    lacked = {socket.AF_INET6}
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    monkeypatch.setattr(socket, "socket", lacking)
    (listener,) = await listen("localhost", 0, 64)
    assert listener.family == socket.AF_INET
    listener.close()
    lacked.add(socket.AF_INET)
    with pytest.raises(OSError, match=os.strerror(errno.EAFNOSUPPORT)):
        await listen("localhost", 0, 64)


HAS_IPV6 = Path("/proc/net/if_inet6").exists()


@pytest.mark.skipif(not HAS_IPV6, reason=f"{LACKING} IPv6")
async def test_everywhere_is_one_port_of_both_families_and_ipv4_stays_ipv4() -> None:
    listeners = await listen(EVERYWHERE, 0)
    (port,) = {listener.getsockname()[1] for listener in listeners}
    assert [listener.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET]
    for ip, listener in (("::1", listeners[0]), ("127.0.0.1", listeners[1])):
        with socket.create_connection((ip, port)):
            accepted, peer = await asyncio.get_running_loop().sock_accept(listener)
            accepted.close()
            assert peer[0] == ip
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize("error", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_everywhere_is_one_family_where_there_is_no_other(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def lacking(family: int = -1, *rest: int, **more: int) -> socket.socket:
        if family in lacked:
            raise OSError(error, os.strerror(error))
        return made(family, *rest, **more)

    lacked = {socket.AF_INET6}
    monkeypatch.setattr(socket, "socket", lacking)
    (listener,) = await listen(EVERYWHERE, 0)
    assert listener.getsockname()[0] == "0.0.0.0"  # noqa: S104
    listener.close()
    lacked.add(socket.AF_INET)
    with pytest.raises(OSError, match=os.strerror(error)):
        await listen(EVERYWHERE, 0)


async def test_everywhere_is_nowhere_if_the_port_is_taken_in_one_family() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            await listen(EVERYWHERE, port)
        if HAS_IPV6:  # nothing is left listening in the other family
            with socket.create_server(("::1", port), family=socket.AF_INET6):
                pass


async def test_r25_a_port_that_is_listened_on_cannot_be_bound_again() -> None:
    (listener,), port = await port_of()
    assert not listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
        await listen("127.0.0.1", port, 64)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match=os.strerror(errno.EADDRINUSE)):
            other.bind(("127.0.0.1", port))
    listener.close()


def test_counts_are_seen_through_another_mapping_of_the_same_memory() -> None:
    counts = Counts.make(3)
    assert [counts.of(process) for process in range(3)] == [ABSENT] * 3
    other = Counts(counts.descriptor, 3)
    other.set(1, 7)
    assert counts.others(0) == {1: 7, 2: ABSENT}


async def test_one_alone_accepts_everything() -> None:
    listeners, port = await port_of()
    counts = Counts.make(2)
    acceptor = Acceptor(Shared(listeners, counts, 0), Greeting)
    acceptor.start()
    for number in range(5):
        assert await said(port) == b"a"
        assert counts.of(0) == number + 1
    await acceptor.connected()
    acceptor.gone()
    assert counts.of(0) == 4
    acceptor.close()
    assert counts.of(0) == ABSENT
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_one_that_has_stopped_accepting_stays_absent_when_its_connections_end() -> None:
    listeners, port = await port_of()
    counts = Counts.make(2)
    acceptor = Acceptor(Shared(listeners, counts, 0), Greeting)
    acceptor.start()
    for _ in range(2):
        assert await said(port) == b"a"
    await acceptor.connected()
    acceptor.close()
    acceptor.gone()
    assert counts.of(0) == ABSENT


async def test_who_has_more_goes_on_where_the_others_do_not_come() -> None:
    listeners, port = await port_of()
    counts = Counts.make(2)
    counts.set(1, 0)
    acceptor = Acceptor(Shared(listeners, counts, 0), Greeting)
    acceptor.start()
    for _ in range(20):
        assert await asyncio.wait_for(said(port), 5) == b"a"
    acceptor.close()


async def test_one_that_hangs_holds_up_no_queue_while_those_with_many_are_busy() -> None:
    listeners, port = await port_of()
    counts = Counts.make(3)
    counts.set(1, 0)
    acceptor = Acceptor(Shared(listeners, counts, 0), Greeting)
    acceptor.start()
    assert await said(port) == b"a"
    assert await said(port) == b"a"

    async def begin_and_end() -> None:
        for count in itertools.cycle(range(1000, 2000)):
            counts.set(2, count)
            await asyncio.sleep(0.001)

    busy = asyncio.create_task(begin_and_end())
    async with asyncio.timeout(5):
        for _ in range(20):
            assert await said(port) == b"a"
    busy.cancel()
    acceptor.close()


@pytest.fixture
async def two_workers() -> AsyncIterator[int]:
    """The port of two processes that say their number to each connection."""
    (listener,), port = await port_of()
    counts = Counts.make(2)
    inherited = (listener.fileno(), counts.descriptor)
    words = [str(descriptor) for descriptor in inherited]
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, *words, str(number), pass_fds=inherited, stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        for number in range(2)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert await worker.stdout.readline() == b"ready\n"
    listener.close()
    yield port
    for worker in workers:
        worker.kill()
        await worker.communicate()


async def test_each_of_two_gets_its_share_of_64_connections(two_workers: int) -> None:
    async def connect() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", two_workers)
        open_writers.append(writer)
        return await reader.readexactly(1)

    open_writers: list[asyncio.StreamWriter] = []
    one_by_one = Counter([await connect() for _ in range(64)])
    bursts = []
    # The system may keep one of both from running for all of a burst; not for three of them.
    for _ in range(3):
        bursts.append(Counter(await asyncio.gather(*(connect() for _ in range(64)))))
        if in_shares(bursts[-1]):
            break
    for writer in open_writers:
        writer.close()
        await writer.wait_closed()
    assert in_shares(one_by_one), one_by_one
    assert in_shares(bursts[-1]), bursts


def in_shares(counted: Counter[bytes]) -> bool:
    return all(0.35 * 64 <= counted[number] <= 0.65 * 64 for number in (b"0", b"1"))
