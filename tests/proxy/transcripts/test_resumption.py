"""TLS sessions toward tools, with real connections: which of them were resumed, as the tool says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import trustme

from connectors.dial.dial_settings import DialSettings
from connectors.dial.dialer import Dialer
from connectors.dial.resolver import NameResolver
from connectors.objects.addresses import Origin, parse_address
from connectors.objects.connector import ConnectorKey
from connectors.objects.reasons import Reason, RefusedError
from connectors.plan import PoolKey
from connectors.tls.certificates import read_pem
from connectors.tls.pool import ClientTls, pool_of
from proxy.secured_tool import MAX_AGE, Sessions
from proxy.settings import Timeouts
from proxy.upstream import Upstreams
from proxy.watchdog import Watchdog
from tests.connectors.dial.sending import Answers
from tests.peers.namesakes import Namesake
from tests.peers.raw_upstream import RawUpstream
from tests.peers.trust import LOOPBACK, key_pair, tls
from tests.proxy.decisions import plan_of, pool_key, tool

AUTHORITY = trustme.CA()
"""The machine does not trust it; the Connector does."""


class Receiving:
    """Waits for an answer."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def from_upstream(self, data: bytes) -> None:
        self.answered.set()

    def upstream_lost(self, error: Exception | None) -> None:
        self.answered.set()

    def upstream_writable(self, writable: bool) -> None:
        pass


class Resuming:
    """A tool with TLS, and a proxy's connections to it; counts at the tool which of them were resumed."""

    def __init__(self, peer: RawUpstream, known: trustme.CA) -> None:
        self.now = 1000.0
        self.current = True
        self.peer = peer
        sessions: Sessions[PoolKey] = Sessions(lambda _: self.current, lambda: self.now)
        dialer = Dialer(DialSettings(LOOPBACK), NameResolver(Answers(["127.0.0.1"])))
        self.upstreams = Upstreams(
            Timeouts(), Watchdog(1.0), dialer, lambda *_: False, lambda _: self.current, sessions
        )
        self.address = parse_address(f"https://localhost:{peer.port}")
        self.key = pool_key(plan_of(tool()))
        self.tls = tls(known)

    async def resumed(self, key: PoolKey | None = None, brought: ClientTls | None = None) -> bool:
        """One connection with a question and an answer; whether its handshake was resumed, as the tool says."""
        connection = await self.upstreams.dial(key or self.key, self.address, brought or self.tls)
        receiving = Receiving()
        connection.receiver = receiving
        connection.write(b"question")
        accepted = await self.peer.accept()
        assert await accepted.read_exactly(8) == b"question"
        accepted.send(b"answer")
        await asyncio.wait_for(receiving.answered.wait(), 5)
        connection.abort()
        resumed: bool = accepted.transport.get_extra_info("ssl_object").session_reused
        return resumed


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
async def resuming(request: pytest.FixtureRequest) -> AsyncIterator[Resuming]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    context.maximum_version = request.param
    async with RawUpstream(tls=context) as peer:
        yield Resuming(peer, AUTHORITY)


async def test_a_tools_session_is_resumed(resuming: Resuming) -> None:
    assert [await resuming.resumed() for _ in range(4)] == [False, True, True, True]


@pytest.mark.parametrize(
    "change",
    [
        {"connector": ConnectorKey("team", "another")},
        {"connector": ConnectorKey("another", "tool")},
        {"uid": "made anew"},
        {"secret": "2"},
        {"trust": "other CAs"},
        {"certificate": True},
        {"origin": Origin("https", "another.example", 443)},
    ],
    ids="-".join,
)
async def test_t13_what_differs_in_anything_shakes_hands_in_full(resuming: Resuming, change: dict[str, Any]) -> None:
    other = resuming.key._replace(**change)
    assert [await resuming.resumed() for _ in range(2)] == [False, True]
    assert [await resuming.resumed(other) for _ in range(2)] == [False, True]
    assert await resuming.resumed()


async def test_t22_with_other_cas_the_tool_is_verified_again(resuming: Resuming) -> None:
    """A session of the same key, even: its context is another one."""
    assert [await resuming.resumed() for _ in range(2)] == [False, True]
    with pytest.raises(RefusedError) as caught:
        await resuming.resumed(brought=tls(trustme.CA()))
    assert caught.value.refusal.reason is Reason.UPSTREAM_TLS
    assert "unable to get local issuer certificate" in caught.value.refusal.message


async def test_t22_a_certificate_of_its_own_shakes_hands_in_full(resuming: Resuming) -> None:
    assert [await resuming.resumed() for _ in range(2)] == [False, True]
    shown = replace(resuming.tls, certificate=key_pair(AUTHORITY.issue_cert("client.example")))
    assert not await resuming.resumed(brought=shown)


async def test_t22_an_hour_later_the_tool_is_verified_again(resuming: Resuming) -> None:
    assert [await resuming.resumed() for _ in range(2)] == [False, True]
    resuming.now += MAX_AGE - 1
    assert await resuming.resumed()
    resuming.now += 1
    assert [await resuming.resumed() for _ in range(2)] == [False, True]


async def test_t13_a_pool_that_is_over_takes_its_session_along(resuming: Resuming) -> None:
    assert not await resuming.resumed()
    resuming.current = False
    resuming.upstreams.close_idle([resuming.key])
    resuming.current = True
    assert [await resuming.resumed() for _ in range(2)] == [False, True]


@pytest.mark.parametrize("signer", [0, 1])
async def test_t22_of_cas_of_one_name_the_one_that_has_signed_resumes_its_own(signer: int) -> None:
    both = Namesake(), Namesake()
    async with RawUpstream(tls=both[signer].server()) as peer:
        made = Resuming(peer, trustme.CA())
        known = read_pem("".join(namesake.pem for namesake in both).encode()).certificates
        made.tls = ClientTls(pool_of(known))
        outcomes = []
        for _ in range(3):
            outcomes.append(await made.resumed())
            # Those that were tried with the wrong one.
            while not peer._accepted.empty():
                await peer.accept()
        assert outcomes == [False, True, True]
