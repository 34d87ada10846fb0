from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import pytest

from connectors.kube.errors import ForbiddenError, UnavailableError, UnreadableError
from proxy.callers.signing_keys import CONFIGURATION, KEYS, REFRESH, SOONEST, SigningKeys
from tests.peers.clock import FakeClock
from tests.peers.token_issuer import ISSUER, TokenIssuer

BOTH = 2
"""Documents that are asked for each time."""


class Desk:
    def __init__(self) -> None:
        self.issuer = TokenIssuer()
        self.clock = FakeClock()
        self.keys = SigningKeys(self.issuer, self.clock)

    @property
    def known(self) -> bool:
        return self.keys.find(ISSUER, "k1") is not None


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def running(desk: Desk) -> AsyncIterator[Desk]:
    task = asyncio.create_task(desk.keys.run())
    async with asyncio.timeout(10):
        while not desk.keys.issuer:  # noqa: ASYNC110 - keys are read in a thread
            await asyncio.sleep(0.01)
    yield desk
    task.cancel()


async def test_they_are_the_api_servers_own(desk: Desk) -> None:
    assert not desk.known
    await desk.keys.renew()
    assert desk.known
    assert desk.keys.find("https://another", "k1") is None
    assert desk.keys.find("", "k1") is None
    assert desk.keys.find(ISSUER, "k2") is None


@pytest.mark.parametrize("failure", [ForbiddenError(403, "Forbidden", "no"), UnreadableError("too long")])
async def test_where_none_are_published_there_are_none(desk: Desk, failure: Exception) -> None:
    await desk.keys.renew()
    desk.issuer.failure = failure
    await desk.keys.renew()
    assert not desk.known
    assert not desk.keys.issuer


@pytest.mark.parametrize("path", [CONFIGURATION, KEYS])
@pytest.mark.parametrize("document", [None, b"<html>", b"{}", b'{"issuer": 7, "keys": 7}', b'{"a":' + b"[" * 9999])
async def test_what_is_something_else_is_none(desk: Desk, path: str, document: bytes | None) -> None:
    await desk.keys.renew()
    if document is None:
        del desk.issuer.documents[path]
    else:
        desk.issuer.documents[path] = document
    await desk.keys.renew()
    assert not desk.known


async def test_they_stay_while_the_api_server_is_away(desk: Desk) -> None:
    await desk.keys.renew()
    desk.issuer.failure = UnavailableError("away")
    await desk.keys.renew()
    assert desk.known


async def test_they_are_asked_for_now_and_then(running: Desk) -> None:
    assert running.issuer.asked == BOTH
    await running.clock.advance(REFRESH - 1)
    assert running.issuer.asked == BOTH
    await running.clock.advance(1)
    assert running.issuer.asked > BOTH


async def test_a_key_that_is_not_known_is_asked_for_soon_and_not_more_often(running: Desk) -> None:
    for _ in range(100):
        running.keys.find(ISSUER, "made-up")
        running.keys.find("https://made-up", "k1")
    await running.clock.advance(SOONEST - 1)
    assert running.issuer.asked == BOTH
    running.issuer.documents[KEYS] = json.dumps({"keys": [running.issuer.jwk(kid="made-up")]}).encode()
    await running.clock.advance(1)
    async with asyncio.timeout(10):
        while not running.keys.find(ISSUER, "made-up"):  # noqa: ASYNC110 - keys are read in a thread
            await asyncio.sleep(0.01)
    assert running.issuer.asked == 2 * BOTH


async def test_an_operator_can_see_it(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "connectors.identity")
    for _ in range(2):
        await desk.keys.renew()
    desk.issuer.failure = ForbiddenError(403, "Forbidden", "no role")
    await desk.keys.renew()
    assert [record.getMessage() for record in caplog.records] == [
        f"new callers with tokens of {ISSUER} are asked about first: 1 keys",
        "the API server publishes no keys of ServiceAccounts' tokens that can be used: no role",
    ]
