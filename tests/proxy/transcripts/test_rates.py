"""How often one caller may use one Connector."""

from __future__ import annotations

import pytest

from proxy.settings import ClientAuth, Limits, ProxySettings
from tests.peers.dialogue import OK, Dialogue, get, seen
from tests.peers.manifests import caller_token
from tests.peers.raw_client import connect
from tests.proxy.transcripts.conftest import Talk

ONE = Limits(requests_per_second_per_caller=1)
LIMITED = {"namespace": "default", "connector": "tool", "limit": "requests_per_second_per_caller"}


async def passes(line: Dialogue, *lines: bytes) -> None:
    line.client_sends(get(b"/", *lines))
    await line.tool_sees(seen())
    line.tool_sends(OK)
    await line.client_gets(OK)


async def from_another_address(line: Dialogue, number: int) -> None:
    await line.new_client()
    line.client.transport.abort()
    line.client = await connect(line.proxy.port, source=f"127.0.0.{number}")


@pytest.mark.parametrize("earlier", [0, 3], ids=["first seen", "seen before"])
async def test_t33_each_request_of_a_caller_takes_a_token(talk: Talk, earlier: int) -> None:
    line = await talk(settings=ProxySettings(limits=ONE))
    for number in range(earlier):
        await from_another_address(line, 10 + number)
        await passes(line)
    await from_another_address(line, 1)
    await passes(line)
    for _ in range(2):
        line.client_sends(get())
        head = await line.client_is_refused(b"429", b"TooManyRequests")
        assert b"\r\nRetry-After: 1\r\n" in head
    assert line.proxy.metric("connectors_proxy_limited_requests_total", **LIMITED) == 2
    await from_another_address(line, 2)
    await passes(line)


@pytest.mark.parametrize("earlier", [0, 3], ids=["first seen", "seen before"])
async def test_t33_a_caller_that_is_known_has_one_bucket_wherever_it_asks_from(talk: Talk, earlier: int) -> None:
    settings = ProxySettings(client_auth=ClientAuth.TOKEN, limits=ONE)
    line = await talk(caller_token("a", "t0ken-of-a"), caller_token("b", "t0ken-of-b"), settings=settings)
    bearers = [b"Authorization: Bearer t0ken-of-" + name for name in (b"a", b"b")]
    for bearer in bearers:
        await passes(line, bearer)
    for number in range(earlier + 1):
        await from_another_address(line, 10 + number)
        line.client_sends(get(b"/", bearers[0]))
        await line.client_is_refused(b"429", b"TooManyRequests")
    # A stranger takes nobody's tokens.
    line.client_sends(get(b"/", b"Authorization: Bearer made-up"))
    await line.client_is_refused(b"401", b"Unauthenticated")


async def test_it_is_off_by_default(talk: Talk) -> None:
    line = await talk()
    for _ in range(20):
        await passes(line)
