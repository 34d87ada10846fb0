from __future__ import annotations

import asyncio
import datetime
import gc
import ssl
import time
import weakref
from collections.abc import Awaitable, Callable

import pytest
import trustme

from connectors.dial.dialer import Dialer
from connectors.objects.addresses import Address, Origin, parse_address
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, RefusedError
from connectors.plan import PoolKey
from connectors.tls.pool import SYSTEM_TLS
from proxy.settings import Timeouts
from proxy.upstream import (
    FEW_IDLE,
    MAX_IDLE_PER_POOL,
    SHORTLY,
    UpstreamConnection,
    Upstreams,
    is_current,
    outdated_pools,
)
from proxy.watchdog import NEVER, Watchdog
from tests.builders import successive
from tests.peers.manifests import auth, bearer_token
from tests.peers.objects import objects_of
from tests.peers.raw_upstream import RawUpstream
from tests.peers.trust import dialer, tls
from tests.proxy.decisions import plan_of, pool_key, snapshot_of, tool


class Reader:
    """A receiver that keeps what it is told."""

    def __init__(self) -> None:
        self.data = b""
        self.lost = asyncio.Event()

    def from_upstream(self, data: bytes) -> None:
        self.data += data

    def upstream_lost(self, error: Exception | None) -> None:
        self.lost.set()

    def upstream_writable(self, writable: bool) -> None:
        pass


class Pools:
    """Upstreams toward one raw tool."""

    def __init__(self, peer: RawUpstream, timeouts: Timeouts | None = None) -> None:
        self.peer = peer
        self.address = parse_address(peer.address)
        self.watchdog = Watchdog(interval=0.01)
        self.stale: set[PoolKey] = set()
        self.upstreams = Upstreams(
            timeouts or Timeouts(), self.watchdog, dialer(), lambda *_: False, lambda key: key not in self.stale
        )
        self.key = pool_key(plan_of(tool(peer.address)))

    async def dial(self, key: PoolKey | None = None) -> UpstreamConnection:
        return await self.upstreams.dial(key or self.key, self.address, SYSTEM_TLS)

    def take(self, key: PoolKey, now: float, *, repeatable: bool) -> UpstreamConnection | None:
        return self.upstreams.take(self.upstreams.pool(key), now, repeatable=repeatable)

    async def idle(self, keep_alive: bytes = b"") -> UpstreamConnection:
        connection = await self.dial()
        self.upstreams.give_back(connection, time.monotonic(), keep_alive)
        return connection

    @property
    def counts(self) -> tuple[int, int]:
        return self.upstreams.active, self.upstreams.idle


async def until(ready: Callable[[], bool]) -> None:
    """Until the loop has carried an event of the kernel's to us."""
    async with asyncio.timeout(5):
        while not ready():  # noqa: ASYNC110 - counts have no event
            await asyncio.sleep(0)


TEAM = tool(auth=auth("bearerAuth", "s"))


async def test_t13_an_idle_connection_serves_its_own_pool_only(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.idle()
    other = pools.key._replace(uid="other")
    assert pools.take(other, time.monotonic(), repeatable=True) is None
    assert pools.counts == (0, 1)
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is connection
    assert connection.used_before
    assert pools.counts == (1, 0)
    pools.upstreams.close()


async def test_the_most_recently_used_comes_first(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    first, second = await pools.dial(), await pools.dial()
    pools.upstreams.give_back(second, time.monotonic())
    pools.upstreams.give_back(first, time.monotonic())
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is first
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is second
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None
    pools.upstreams.close()


async def test_a_pool_is_one_for_all_and_gone_with_the_last_who_refers_to_it(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    left = weakref.ref((await pools.idle()).pool)
    assert pools.upstreams.pool(pools.key) is left()
    pools.upstreams.close()
    await until(lambda: pools.counts == (0, 0))
    gc.collect()
    assert left() is None


async def test_a_pool_is_bounded(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connections = [await pools.dial() for _ in range(MAX_IDLE_PER_POOL + 1)]
    for connection in connections:
        pools.upstreams.give_back(connection, time.monotonic())
    assert pools.upstreams.idle == MAX_IDLE_PER_POOL
    await until(lambda: pools.counts == (0, MAX_IDLE_PER_POOL))
    pools.upstreams.close()
    await until(lambda: pools.counts == (0, 0))


async def test_more_than_a_few_are_kept_for_a_moment(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connections = [await pools.dial() for _ in range(FEW_IDLE + 2)]
    now = time.monotonic()
    for connection in connections:
        pools.upstreams.give_back(connection, now)
    assert [connection.deadline for connection in connections] == [now + 60.0] * FEW_IDLE + [now + SHORTLY] * 2
    found = pools.take(pools.key, now + SHORTLY + 0.5, repeatable=True)
    assert found is connections[FEW_IDLE - 1], "those behind it have ended"
    await until(lambda: pools.counts == (1, FEW_IDLE - 1))
    pools.upstreams.close()


@pytest.mark.parametrize(
    ("keep_alive", "seconds"),
    [(b"", 60.0), (b"timeout=5", 4.0), (b"max=9, Timeout = 3", 2.0), (b"timeout=100", 60.0), (b"timeout=x", 60.0)],
)
async def test_the_tools_keep_alive_timeout(raw_upstream: RawUpstream, keep_alive: bytes, seconds: float) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.idle(keep_alive)
    assert connection.deadline == pytest.approx(time.monotonic() + seconds, abs=0.5)
    pools.upstreams.close()


@pytest.mark.parametrize("keep_alive", [b"timeout=1", b"timeout=0"])
async def test_too_short_to_keep(raw_upstream: RawUpstream, keep_alive: bytes) -> None:
    pools = Pools(raw_upstream)
    await pools.idle(keep_alive)
    peer = await raw_upstream.accept()
    await peer.wait_closed()
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None
    await until(lambda: pools.counts == (0, 0))


async def test_the_idle_limit_closes(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream, Timeouts(upstream_idle=0.02))
    pools.watchdog.start()
    await pools.idle()
    await (await raw_upstream.accept()).wait_closed()
    await until(lambda: pools.counts == (0, 0))
    pools.watchdog.stop()


async def test_a_connection_past_its_deadline_is_not_used_however_late_the_watchdog(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.idle()
    connection.deadline = time.monotonic()
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None
    await (await raw_upstream.accept()).wait_closed()


async def test_t30_what_cannot_be_repeated_gets_no_long_idle_connection(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.idle()
    connection.idle_since -= 1.5
    assert pools.take(pools.key, time.monotonic(), repeatable=False) is connection
    pools.upstreams.give_back(connection, time.monotonic())
    connection.idle_since -= 2.5
    assert pools.take(pools.key, time.monotonic(), repeatable=False) is None
    await until(lambda: pools.counts == (0, 0))
    connection = await pools.idle()
    connection.idle_since -= 2.5
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is connection
    pools.upstreams.close()


async def test_t11_unsolicited_bytes_end_an_idle_connection(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    await pools.idle()
    peer = await raw_upstream.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await peer.wait_closed()
    await until(lambda: pools.counts == (0, 0))
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None


async def test_a_connection_that_the_tool_closed_is_gone(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    await pools.idle()
    (await raw_upstream.accept()).close()
    await until(lambda: pools.counts == (0, 0))
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None


async def test_bytes_and_the_end_reach_whoever_reads(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection, reader = await pools.dial(), Reader()
    connection.receiver = reader
    assert connection.deadline is NEVER
    connection.write(b"ping")
    peer = await raw_upstream.accept()
    assert await peer.read_exactly(4) == b"ping"
    peer.send(b"pong")
    await until(lambda: reader.data == b"pong")
    peer.close()
    await asyncio.wait_for(reader.lost.wait(), 5)
    assert not connection.usable
    connection.write(b"x")
    connection.close()
    connection.abort()
    connection.pause_reading(True)
    assert connection.peer() == ("", 0, "")


async def test_pools_that_nothing_uses_any_more_are_closed(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    kept, gone = await pools.idle(), await pools.dial(pools.key._replace(uid="gone"))
    pools.upstreams.give_back(gone, time.monotonic())
    pools.upstreams.close_idle([gone.pool.key, pools.key._replace(uid="never there")])
    await until(lambda: pools.counts == (0, 1))
    assert kept.usable
    pools.upstreams.close()


async def test_a_connection_of_earlier_cas_or_secrets_finishes_and_is_not_kept(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.dial()
    pools.stale.add(pools.key)
    pools.upstreams.close_idle([pools.key])
    assert connection.usable, "it is in use"
    pools.upstreams.give_back(connection, time.monotonic())
    await until(lambda: pools.counts == (0, 0))


def test_which_pools_a_request_can_still_use() -> None:
    login = bearer_token("s", "1", namespace="team")
    snapshot = snapshot_of(TEAM, login)
    (plan,) = snapshot.plans.values()
    key = pool_key(plan)
    assert is_current(key, snapshot)
    for other in (
        key._replace(trust="earlier"),
        key._replace(secret="earlier"),
        key._replace(uid="earlier"),
        key._replace(connector=ConnectorKey("team", "gone")),
        key._replace(origin=Origin("https", "earlier.example", 443)),
    ):
        assert not is_current(other, snapshot)


def test_which_pools_a_change_has_made_useless() -> None:
    login, other = (bearer_token("s", version, namespace="team") for version in "12")
    before, same, changed = successive(objects_of(TEAM, login), objects_of(TEAM, login), objects_of(TEAM, other))
    (plan,) = before.plans.values()
    assert list(outdated_pools(plan, before)) == []
    assert list(outdated_pools(plan, same)) == []
    assert list(outdated_pools(plan, changed)) == [pool_key(plan)]
    assert list(outdated_pools(None, changed)) == []


async def test_a_dead_connection_is_not_kept(raw_upstream: RawUpstream) -> None:
    pools = Pools(raw_upstream)
    connection = await pools.dial()
    connection.abort()
    pools.upstreams.give_back(connection, time.monotonic())
    assert pools.take(pools.key, time.monotonic(), repeatable=True) is None
    await until(lambda: pools.counts == (0, 0))


async def refused(dial: Awaitable[UpstreamConnection]) -> Reason:
    with pytest.raises(RefusedError) as error:
        await dial
    return error.value.refusal.reason


async def dial(
    address: Address, *authorities: trustme.CA, timeouts: Timeouts | None = None, dials: Dialer | None = None
) -> UpstreamConnection:
    upstreams = Upstreams(timeouts or Timeouts(), Watchdog(1.0), dials or dialer(), lambda *_: False)
    return await upstreams.dial(pool_key(plan_of(tool())), address, tls(*authorities))


async def test_a_name_that_does_not_resolve() -> None:
    assert await refused(dial(parse_address("http://lost.invalid"))) is Reason.UPSTREAM_UNREACHABLE


async def test_a_port_that_nobody_listens_on() -> None:
    async with RawUpstream() as peer:
        address = parse_address(peer.address)
    assert await refused(dial(address)) is Reason.UPSTREAM_UNREACHABLE


async def test_a_tool_that_never_finishes_its_handshake(raw_upstream: RawUpstream) -> None:
    address = parse_address(raw_upstream.address.replace("http:", "https:"))
    # The trust of a system is read within it, too.
    assert await refused(dial(address, timeouts=Timeouts(connect=0.4))) is Reason.UPSTREAM_TIMEOUT
    peer = await raw_upstream.accept()
    await peer.wait_closed()


@pytest.mark.parametrize("after", [False, True], ids=["before dialling", "once connected"])
async def test_the_proxy_itself_is_not_dialled(raw_upstream: RawUpstream, after: bool) -> None:
    ends: list[tuple[str, int, str]] = []

    def is_own(ip: str, port: int, local_ip: str) -> bool:
        ends.append((ip, port, local_ip))
        return bool(local_ip) or not after

    address = parse_address(raw_upstream.address)
    upstreams = Upstreams(Timeouts(), Watchdog(1.0), dialer(), is_own)
    key = pool_key(plan_of(tool()))
    assert await refused(upstreams.dial(key, address, SYSTEM_TLS)) is Reason.LOOP_DETECTED
    expected = [("127.0.0.1", raw_upstream.port, "")]
    assert ends == ([*expected, ("127.0.0.1", raw_upstream.port, "127.0.0.1")] if after else expected)
    await until(lambda: upstreams.active == 0)
    assert bool(raw_upstream.connections) is after


async def test_tls(authority: trustme.CA, server_tls: ssl.SSLContext) -> None:
    async with RawUpstream(tls=server_tls) as peer:
        for host in ("localhost", "127.0.0.1"):
            connection = await dial(parse_address(f"https://{host}:{peer.port}"), authority)
            connection.write(b"ping")
            assert await (await peer.accept()).read_exactly(4) == b"ping"
            connection.abort()


async def test_t22_an_unknown_authority(server_tls: ssl.SSLContext) -> None:
    async with RawUpstream(tls=server_tls) as peer:
        assert await refused(dial(parse_address(peer.address))) is Reason.UPSTREAM_TLS


@pytest.mark.parametrize("expired", [False, True], ids=["another name", "expired"])
async def test_t22_a_certificate_that_does_not_hold(authority: trustme.CA, expired: bool) -> None:
    long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    leaf = (
        authority.issue_cert("localhost", not_after=long_ago) if expired else authority.issue_cert("elsewhere.example")
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    async with RawUpstream(tls=context) as peer:
        assert await refused(dial(parse_address(peer.address), authority)) is Reason.UPSTREAM_TLS


async def test_plain_http_behind_an_https_address(raw_upstream: RawUpstream) -> None:
    async def answer() -> None:
        (await raw_upstream.accept()).send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    address = parse_address(raw_upstream.address.replace("http:", "https:"))
    reason, _ = await asyncio.gather(refused(dial(address)), answer())
    assert reason is Reason.UPSTREAM_TLS
