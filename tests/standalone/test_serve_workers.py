from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import msgspec
import pytest

from proxy.audit.audit_log import AuditRecord
from tests.peers.dialogue import OK
from tests.peers.fixtures import StartProxy
from tests.peers.manifests import auth, basic_auth, caller_token, connector, write
from tests.peers.proxy_process import ProxyProcess
from tests.peers.raw_client import connected
from tests.peers.raw_stream import RawStream
from tests.peers.raw_upstream import RawUpstream, answering

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
]

SECRET = "canary-0c1e"
REQUEST = b"GET /x HTTP/1.1\r\nHost: c-tool.default.localhost\r\n\r\n"
LINE = re.compile(r"^\S+ access .* status=\d+ .* request=([0-9a-f]{16})-[0-9a-f]+$")
SECONDS = 20.0


@pytest.fixture
async def tool() -> AsyncIterator[RawUpstream]:
    async with RawUpstream(answering(OK)) as upstream:
        yield upstream


@pytest.fixture
def manifests(tmp_path: Path, tool: RawUpstream) -> Path:
    return write(
        tmp_path / "manifests",
        connector("tool", tool.address, auth=auth("basicAuth", "login")),
        basic_auth("login", "robot", SECRET),
        caller_token("ci", "canary-22e1"),
    )


def workers_of(proxy: ProxyProcess) -> list[int]:
    """Its children, the oldest first."""
    pid = proxy.child.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sorted(int(child) for child in found)


async def until(holds: Callable[[], object], seconds: float = SECONDS) -> None:
    """Wait until something that no event tells of holds."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - files and processes have no events
            await asyncio.sleep(0.02)


async def metrics(proxy: ProxyProcess) -> dict[str, float]:
    """Every series."""
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


async def value(proxy: ProxyProcess, name: str) -> float:
    """The sum of a family's series."""
    return sum(number for series, number in (await metrics(proxy)).items() if series.partition("{")[0] == name)


async def reached(proxy: ProxyProcess, name: str, least: float) -> float:
    """Wait until a metric is that large."""
    async with asyncio.timeout(SECONDS):
        while (found := await value(proxy, name)) < least:  # noqa: ASYNC110 - another process has it
            await asyncio.sleep(0.02)
    return found


async def clients(proxy: ProxyProcess, stack: AsyncExitStack, number: int) -> list[RawStream]:
    return [await stack.enter_async_context(connected(proxy.port)) for _ in range(number)]


async def asked(client: RawStream, request: bytes = REQUEST) -> bytes:
    """The status line of the answer."""
    client.send(request)
    head = await client.read_head()
    found = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    assert found, head
    await client.read_exactly(int(found[1]))
    return head.partition(b"\r\n")[0]


def served_by(proxy: ProxyProcess) -> Counter[str]:
    """How many requests of the access log were each process's."""
    return Counter(found[1] for line in proxy.child.log.splitlines() if (found := LINE.match(line)))


async def test_two_workers_serve_and_their_numbers_are_added_up(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy = await start_proxy(manifests, "--workers", "2")
    assert len(workers_of(proxy)) == 2
    for client in await clients(proxy, exits, 64):
        assert await asked(client) == b"HTTP/1.1 200 OK"
    assert await value(proxy, "connectors_proxy_requests_total") == 64
    assert await value(proxy, "connectors_proxy_request_duration_seconds_count") == 64
    assert await value(proxy, "connectors_proxy_workers") == 2
    assert await value(proxy, "connectors_proxy_worker_restarts_total") == 0
    await until(lambda: proxy.child.log.count(" access ") == 64)
    shares = served_by(proxy)
    assert len(shares) == 2, "each worker has request ids of its own"
    assert all(0.35 * 64 <= share <= 0.65 * 64 for share in shares.values()), shares
    assert await proxy.child.stop() == 0


async def test_r25_a_change_reaches_all_before_the_generation_moves(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy = await start_proxy(manifests, "--workers", "2", "--client-auth", "token")
    request = REQUEST.replace(b"\r\n\r\n", b"\r\nAuthorization: Bearer canary-22e1\r\n\r\n")
    all_of_them = await clients(proxy, exits, 40)
    assert {await asked(client, request) for client in all_of_them} == {b"HTTP/1.1 200 OK"}
    before = await value(proxy, "connectors_proxy_snapshot_generation")
    for file in manifests.iterdir():
        if b"service-account-token" in (text := file.read_bytes()):
            file.write_bytes(text.replace(b"canary-22e1", b"canary-33f0"))
    await reached(proxy, "connectors_proxy_snapshot_generation", before + 1)
    assert {await asked(client, request) for client in all_of_them} == {b"HTTP/1.1 401 Unauthorized"}


async def test_r25_one_that_is_killed_costs_its_own_requests_and_no_count_falls(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy = await start_proxy(manifests, "--workers", "2", "--access-log", "off")
    lost, done, stop = [0], [0], asyncio.Event()

    async def load(client: RawStream) -> None:
        try:
            while not stop.is_set():
                assert await asked(client) == b"HTTP/1.1 200 OK"
                done[0] += 1
        except AssertionError:
            lost[0] += 1

    load_of = [asyncio.create_task(load(client)) for client in await clients(proxy, exits, 16)]
    await until(lambda: done[0] > 200)
    before = await reached(proxy, "connectors_proxy_requests_total", 200)
    victim, other = workers_of(proxy)
    os.kill(victim, signal.SIGKILL)
    await reached(proxy, "connectors_proxy_worker_restarts_total", 1)
    assert await value(proxy, "connectors_proxy_requests_total") >= before
    await reached(proxy, "connectors_proxy_workers", 2)
    for client in await clients(proxy, exits, 16):
        assert await asked(client) == b"HTTP/1.1 200 OK"
    stop.set()
    await asyncio.wait_for(asyncio.gather(*load_of), SECONDS)
    assert 0.35 * 16 <= lost[0] <= 0.65 * 16, "the connections of the other worker go on"
    assert other in workers_of(proxy)
    assert len(workers_of(proxy)) == 2
    assert await value(proxy, "connectors_proxy_requests_total") >= before
    await proxy.child.line(r"ERROR connectors\.workers: worker \d ended \(killed by signal 9\)")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_all_of_them(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack, number: signal.Signals
) -> None:
    proxy, waiting, streams = await unanswered(start_proxy, manifests, exits, 8)
    os.kill(proxy.child.pid, number)
    await proxy.child.line("stopping")
    await refused(proxy.port)
    for stream in streams:
        stream.send(OK)
    for client in waiting:
        assert b" 200 OK\r\n" in await client.read_to_eof()
    assert await asyncio.wait_for(proxy.child.wait(), SECONDS) == 0


async def unanswered(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack, number: int
) -> tuple[ProxyProcess, list[RawStream], list[RawStream]]:
    """Two workers, clients that wait for a slow tool, and the tool's sides of their requests."""
    slow = await exits.enter_async_context(RawUpstream())
    write(manifests, connector("slow", slow.address), file="slow.yaml")
    proxy = await start_proxy(manifests, "--workers", "2")
    waiting = await clients(proxy, exits, number)
    streams = []
    for client in waiting:
        client.send(REQUEST.replace(b"c-tool", b"c-slow"))
        streams.append(await slow.accept())
        await streams[-1].read_head()
    return proxy, waiting, streams


async def refused(port: int) -> None:
    """Wait until connections are refused there."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            except ConnectionResetError:  # it was in the queue when the listener closed
                continue
            writer.transport.abort()


async def test_a_second_signal_ends_all_of_them_at_once(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy, _, _ = await unanswered(start_proxy, manifests, exits, 1)
    children = workers_of(proxy)
    os.kill(proxy.child.pid, signal.SIGTERM)
    await proxy.child.line("stopping")
    os.kill(proxy.child.pid, signal.SIGTERM)
    assert await asyncio.wait_for(proxy.child.wait(), 10) == 1
    assert not any(Path(f"/proc/{child}").exists() for child in children)


async def test_they_end_with_the_process_that_started_them(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy, (client,), (stream,) = await unanswered(start_proxy, manifests, exits, 1)
    children = workers_of(proxy)
    os.kill(proxy.child.pid, signal.SIGKILL)
    await refused(proxy.port)
    stream.send(OK)
    assert b" 200 OK\r\n" in await client.read_to_eof()
    await until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


async def test_a_hang_up_reopens_the_audit_log_of_all(
    start_proxy: StartProxy, manifests: Path, tmp_path: Path, exits: AsyncExitStack
) -> None:
    log, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    proxy = await start_proxy(manifests, "--workers", "2", "--audit-log", str(log))
    everyone = await clients(proxy, exits, 16)
    for client in everyone:
        await asked(client)
    log.rename(moved)
    log.write_text("")
    os.kill(proxy.child.pid, signal.SIGHUP)
    for client in everyone * 20:
        await asked(client)
    await proxy.child.stop()
    old, new = (
        [msgspec.json.decode(line, type=AuditRecord).request for line in file.read_bytes().splitlines()]
        for file in (moved, log)
    )
    assert len(old) + len(new) == 16 * 21
    assert len({request.partition("-")[0] for request in new}) == 2


async def test_lines_of_all_are_whole_in_one_pipe(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy = await start_proxy(manifests, "--workers", "2", "--audit-log", "-")
    everyone = await clients(proxy, exits, 32)
    for client in everyone:
        client.send(REQUEST * 40)
    for client in everyone:
        for _ in range(40):
            await client.read_head()
            await client.read_exactly(2)
    assert await proxy.child.stop() == 0
    lines = proxy.child.log.splitlines()
    records = [msgspec.json.decode(line, type=AuditRecord).request for line in lines if line.startswith("{")]
    accesses = [line for line in lines if LINE.match(line)]
    assert len(set(records)) == len(accesses) == 32 * 40
    odd = [line for line in lines if " access " in line and not LINE.match(line)]
    assert not odd


async def test_r25_t14_a_secret_is_in_no_argument_variable_or_file(
    start_proxy: StartProxy, manifests: Path, exits: AsyncExitStack
) -> None:
    proxy = await start_proxy(manifests, "--workers", "2", "--log-level", "debug")
    for client in await clients(proxy, exits, 8):
        await asked(client)
    for pid in workers_of(proxy):
        process = Path(f"/proc/{pid}")
        for name in ("cmdline", "environ"):
            assert SECRET.encode() not in (process / name).read_bytes()
        for descriptor in (process / "fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("/memfd:"):
                assert len(descriptor.read_bytes()) == 8, "two counts and nothing else"
            else:
                assert target.startswith(("socket:", "pipe:", "anon_inode:", "/dev/null", "/dev/urandom")), target
    for file in Path("/dev/shm").iterdir():
        if file.is_file() and os.access(file, os.R_OK):
            assert SECRET.encode() not in file.read_bytes()
    assert SECRET not in proxy.child.log


async def test_all_of_them_may_be_killed_at_once(start_proxy: StartProxy, manifests: Path) -> None:
    proxy = await start_proxy(manifests, "--workers", "2")
    async with aiohttp.ClientSession() as session, session.get(f"{proxy.admin}/readyz") as answer:
        assert (answer.status, await answer.text()) == (200, "ok\n")
    victims = workers_of(proxy)
    for victim in victims:
        os.kill(victim, signal.SIGSTOP)
        os.kill(victim, signal.SIGKILL)
    await reached(proxy, "connectors_proxy_worker_restarts_total", 2)
    await reached(proxy, "connectors_proxy_workers", 2)
    assert not set(victims) & set(workers_of(proxy))
    async with connected(proxy.port) as client:
        assert await asked(client) == b"HTTP/1.1 200 OK"
