"""What is dialled of a tool that has several addresses, or one that must not be dialled (threat 9)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import ATTEMPT_DELAY, Dialer
from connectors.dial.guard import DialGuard, parse_networks
from connectors.dial.resolver import Lookup, NameResolver
from connectors.objects.addresses import Address, parse_address
from connectors.objects.reasons import Reason, Refusal, RefusedError
from connectors.tls.pool import SYSTEM_TLS
from proxy.settings import Timeouts
from proxy.upstream import Upstreams
from proxy.watchdog import Watchdog
from tests.connectors.dial.sending import Answers
from tests.peers.ports import bound
from tests.peers.raw_upstream import RawUpstream
from tests.peers.tools import LACKING
from tests.peers.trust import LOOPBACK, tls
from tests.proxy.decisions import plan_of, pool_key, tool

FEW = DialGuard(allow=parse_networks("127.0.0.1,127.0.0.2"))
"""These may be dialled, and nothing else of loopback."""
Run = Callable[[Coroutine[Any, Any, None]], None]
LOOPS = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
"""Several candidates are dialled by sockets of our own, which the loops connect each in its way."""


class Peers:
    """Listeners of one port at addresses of loopback; where none listens, connections are refused."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        ips = ["127.0.0.1", "127.0.0.2", "127.0.0.9", *(["::1"] if Path("/proc/net/if_inet6").exists() else [])]
        self._bound = {ip: self._ends.enter_context(made) for ip, made in zip(ips, bound(*ips), strict=True)}
        self._listeners: dict[str, socket.socket] = {}
        self.port: int = self._bound["127.0.0.1"].getsockname()[1]

    def listen(self, ip: str, *, deaf: bool = False) -> None:
        """Take connections, or with a full queue, which makes Linux drop the first packet of each, none."""
        if ip not in self._bound:
            pytest.skip(f"{LACKING} IPv6 on loopback")
        listener = self._bound[ip]
        listener.listen(0 if deaf else 16)
        listener.setblocking(False)
        if deaf:
            self._ends.enter_context(socket.create_connection((ip, self.port)))
        else:
            self._listeners[ip] = listener

    def touched(self) -> set[str]:
        """The addresses that somebody has connected to, of those that take connections."""
        return {ip for ip, listener in self._listeners.items() if _touched(listener)}

    @property
    def address(self) -> Address:
        return parse_address(f"http://tool.example:{self.port}")

    def close(self) -> None:
        self._ends.close()


def _touched(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


@pytest.fixture
def peers() -> Iterator[Peers]:
    made = Peers()
    made.listen("127.0.0.9")
    yield made
    made.close()


def upstreams(
    lookup: Lookup,
    *,
    guard: DialGuard = LOOPBACK,
    timeouts: Timeouts | None = None,
    own: Sequence[str] = (),
    cache: float = 0.0,
) -> Upstreams:
    dialer = Dialer(DialSettings(guard), NameResolver(lookup, cache))
    return Upstreams(timeouts or Timeouts(), Watchdog(1.0), dialer, lambda ip, port, local: ip in own)


async def dialled(made: Upstreams, address: Address, *authorities: trustme.CA) -> str:
    """The address that a connection was made to; nothing stays open."""
    connection = await made.dial(pool_key(plan_of(tool())), address, tls(*authorities))
    ip, _, _ = connection.peer()
    connection.abort()
    await asyncio.sleep(0)
    return ip


async def refused(made: Upstreams, address: Address) -> Refusal:
    try:
        connection = await made.dial(pool_key(plan_of(tool())), address, SYSTEM_TLS)
    except RefusedError as error:
        refusal = error.refusal
    else:
        ip, _, _ = connection.peer()
        connection.abort()  # uvloop does not end while it is open
        raise AssertionError(f"{ip} was dialled")
    assert (made.active, made.idle) == (0, 0)
    return refusal


@pytest.mark.parametrize(
    ("answer", "ranges"),
    [
        (["127.0.0.9"], "loopback"),
        (["::ffff:127.0.0.9"], "loopback"),
        (["127.0.0.9", "169.254.169.254", "::1"], "link-local, loopback"),
    ],
)
async def test_t09_the_proxy_never_dials_a_name_of_denied_addresses(
    peers: Peers, answer: list[str], ranges: str
) -> None:
    refusal = await refused(upstreams(Answers(answer), guard=DialGuard()), peers.address)
    assert refusal.reason is Reason.TARGET_DENIED
    assert refusal.message.startswith(f"tool.example may not be dialled ({ranges}); ")
    assert peers.touched() == set()


@pytest.mark.parametrize("host", ["127.0.0.9", "[::ffff:127.0.0.9]", "[64:ff9b::7f00:9]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_t09_the_proxy_never_dials_a_denied_ip_address(peers: Peers, host: str, scheme: str) -> None:
    address = parse_address(f"{scheme}://{host}:{peers.port}")
    assert (await refused(upstreams(Answers([]), guard=DialGuard()), address)).reason is Reason.TARGET_DENIED
    assert peers.touched() == set()


@pytest.mark.parametrize("order", [["127.0.0.1", "127.0.0.9"], ["127.0.0.9", "::1", "127.0.0.1"]])
async def test_t09_the_proxy_leaves_denied_addresses_out(peers: Peers, order: list[str]) -> None:
    made = upstreams(Answers(order), guard=FEW)
    # Nobody listens at the one that may be dialled: that is no reason to try another.
    assert (await refused(made, peers.address)).reason is Reason.UPSTREAM_UNREACHABLE
    assert peers.touched() == set()
    peers.listen("127.0.0.1")
    assert await dialled(made, peers.address) == "127.0.0.1"


@LOOPS
@pytest.mark.parametrize("first", [["127.0.0.1"], ["127.0.0.2", "127.0.0.1"]], ids=["one", "several"])
def test_t09_the_proxy_dials_the_address_that_was_checked_whatever_a_second_answer_says(
    peers: Peers, run: Run, first: list[str]
) -> None:
    async def body() -> None:
        names = Answers(first, ["127.0.0.9"])
        made = upstreams(names, guard=FEW)
        assert await dialled(made, peers.address) == "127.0.0.1"
        assert names.asked == ["tool.example"]
        # The next connection asks again, and is not deceived.
        assert (await refused(made, peers.address)).reason is Reason.TARGET_DENIED
        assert names.asked == ["tool.example"] * 2

    peers.listen("127.0.0.1")
    run(body())
    assert peers.touched() == {"127.0.0.1"}


@LOOPS
@pytest.mark.parametrize(
    ("listening", "answer", "expected"),
    [
        pytest.param(["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"], "127.0.0.2", id="the first one"),
        pytest.param(["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], "127.0.0.2", id="one is dead"),
        pytest.param(["127.0.0.2"], ["127.0.0.1", "::1", "127.0.0.3", "127.0.0.2"], "127.0.0.2", id="but one is dead"),
        pytest.param(["127.0.0.2", "::1"], ["127.0.0.1", "127.0.0.2", "::1"], "::1", id="families by turns"),
        pytest.param(["127.0.0.2", "::1"], ["::1", "127.0.0.2"], "::1", id="IPv6 first where the answer says so"),
    ],
)
def test_candidates_are_tried_in_order(
    peers: Peers, run: Run, listening: list[str], answer: list[str], expected: str
) -> None:
    async def body() -> None:
        assert await dialled(upstreams(Answers(answer)), peers.address) == expected

    for ip in listening:
        peers.listen(ip)
    run(body())


@LOOPS
def test_a_silent_candidate_has_a_moment_for_itself(peers: Peers, run: Run) -> None:
    async def body() -> None:
        begun = time.monotonic()
        assert await dialled(upstreams(Answers(["127.0.0.1", "127.0.0.2"])), peers.address) == "127.0.0.2"
        assert ATTEMPT_DELAY * 0.9 < time.monotonic() - begun < 3

    peers.listen("127.0.0.1", deaf=True)
    peers.listen("127.0.0.2")
    run(body())


@LOOPS
@pytest.mark.parametrize("answer", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1", "::1", "127.0.0.2"]])
def test_where_all_are_dead_the_message_names_none(peers: Peers, run: Run, answer: list[str]) -> None:
    async def body() -> None:
        refusal = await refused(upstreams(Answers(answer)), peers.address)
        assert refusal.reason is Reason.UPSTREAM_UNREACHABLE
        assert refusal.message == f"tool.example:{peers.port} refuses connections; is the tool running?"

    run(body())


@LOOPS
@pytest.mark.parametrize("answer", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]], ids=["one", "several"])
def test_where_all_are_silent_it_takes_the_timeout(peers: Peers, run: Run, answer: list[str]) -> None:
    async def body() -> None:
        refusal = await refused(upstreams(Answers(answer), timeouts=Timeouts(connect=0.4)), peers.address)
        assert refusal.reason is Reason.UPSTREAM_TIMEOUT
        assert refusal.message == f"tool.example:{peers.port} did not accept a connection in time"

    for ip in answer:
        peers.listen(ip, deaf=True)
    run(body())


async def test_a_name_server_that_hangs(peers: Peers) -> None:
    release = threading.Event()

    def lookup(host: str, port: int) -> list[str]:
        release.wait(10)
        return ["127.0.0.9"]

    refusal = await refused(upstreams(lookup, timeouts=Timeouts(connect=0.05)), peers.address)
    release.set()
    assert refusal.reason is Reason.UPSTREAM_TIMEOUT
    assert "was not resolved in time" in refusal.message
    assert peers.touched() == set()


@pytest.mark.parametrize("answer", [["127.0.0.9"], ["127.0.0.9", "127.0.0.2"], ["127.0.0.2", "127.0.0.9"]])
async def test_a_candidate_that_is_this_proxy_itself(peers: Peers, answer: list[str]) -> None:
    peers.listen("127.0.0.2")
    refusal = await refused(upstreams(Answers(answer), own=["127.0.0.9"]), peers.address)
    assert refusal.reason is Reason.LOOP_DETECTED
    assert peers.touched() == set()


async def test_t09_with_tls_the_name_stays_whichever_candidate_is_dialled(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    asked: list[str | None] = []
    server_tls.sni_callback = lambda _, name, __: asked.append(name)
    async with RawUpstream(tls=server_tls) as peer:
        made = upstreams(Answers(["127.0.0.2", "127.0.0.1"]))
        address = parse_address(f"https://localhost:{peer.port}")
        assert await dialled(made, address, authority) == "127.0.0.1"
    assert asked == ["localhost"]


def sockets() -> set[str]:
    """The sockets that this process has open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


@LOOPS
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("end", ["refused", "in time", "cancelled", "own"])
@pytest.mark.parametrize("answer", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]], ids=["one", "several"])
def test_no_dial_leaves_a_socket_behind(peers: Peers, run: Run, scheme: str, end: str, answer: list[str]) -> None:
    async def body() -> None:
        made = upstreams(Answers(answer), timeouts=Timeouts(connect=0.02 if end == "in time" else 10.0))
        made._dialling._is_own_address = lambda ip, port, local: end == "own" and bool(local)
        address = parse_address(f"{scheme}://tool.example:{peers.port}")
        key = pool_key(plan_of(tool()))
        before: set[str] = set()
        for number in range(4):
            # What a loop opens once is there from the first dial on.
            before = before if number > 1 else sockets()
            dial = asyncio.ensure_future(made.dial(key, address, SYSTEM_TLS))
            if end == "cancelled":
                await asyncio.sleep(0.01)
                dial.cancel()
            with pytest.raises((RefusedError, asyncio.CancelledError)):
                await dial
            for _ in range(10):
                await asyncio.sleep(0)
        assert sockets() <= before
        assert (made.active, made.idle) == (0, 0)

    for ip in answer:
        if end != "refused":
            peers.listen(ip, deaf=end != "own")
    run(body())


@pytest.mark.parametrize("deaf", [False, True], ids=["refused", "silent"])
async def test_an_answer_that_nobody_stands_behind_is_forgotten(peers: Peers, deaf: bool) -> None:
    if deaf:
        peers.listen("127.0.0.1", deaf=True)
    names = Answers(["127.0.0.1"], ["127.0.0.9"])
    made = upstreams(names, cache=60, timeouts=Timeouts(connect=0.2))
    await refused(made, peers.address)
    for _ in range(2):
        assert await dialled(made, peers.address) == "127.0.0.9"
    assert len(names.asked) == 2, "and one that somebody stands behind is not"


async def test_t35_a_port_of_the_installation_is_no_tool_and_a_connection_from_before_ends(peers: Peers) -> None:
    dialer = Dialer(DialSettings(LOOPBACK), NameResolver(Answers(["127.0.0.9"])))
    made = Upstreams(Timeouts(), Watchdog(1.0), dialer, lambda *_: False)
    before = await made.dial(pool_key(plan_of(tool())), peers.address, SYSTEM_TLS)
    own = frozenset({("127.0.0.9", peers.port)})
    assert dialer.keep_off(own)
    assert list(made.keep_off(dialer.is_own)) == [None]
    await asyncio.sleep(0)
    assert not before.usable
    refusal = await refused(made, peers.address)
    assert refusal.reason is Reason.TARGET_DENIED
    assert "a port of the Connectors installation itself" in refusal.message


async def test_t09_a_name_that_comes_to_lead_to_the_installation_is_not_dialled_there(peers: Peers) -> None:
    peers.listen("127.0.0.1")
    answers = Answers(["127.0.0.9"], ["127.0.0.1"], ["127.0.0.1", "127.0.0.9"])
    dialer = Dialer(DialSettings(LOOPBACK), NameResolver(answers))
    dialer.keep_off(frozenset({("127.0.0.1", peers.port)}))
    made = Upstreams(Timeouts(), Watchdog(1.0), dialer, lambda *_: False)
    assert await dialled(made, peers.address) == "127.0.0.9"
    assert (await refused(made, peers.address)).reason is Reason.TARGET_DENIED
    assert await dialled(made, peers.address) == "127.0.0.9"
    assert "127.0.0.1" not in peers.touched()


async def test_a_connection_to_elsewhere_stays(peers: Peers) -> None:
    dialer = Dialer(DialSettings(LOOPBACK), NameResolver(Answers(["127.0.0.9"])))
    made = Upstreams(Timeouts(), Watchdog(1.0), dialer, lambda *_: False)
    connection = await made.dial(pool_key(plan_of(tool())), peers.address, SYSTEM_TLS)
    dialer.keep_off(frozenset({("127.0.0.9", peers.port + 1)}))
    list(made.keep_off(dialer.is_own))
    assert connection.usable
    connection.abort()
    await asyncio.sleep(0)
