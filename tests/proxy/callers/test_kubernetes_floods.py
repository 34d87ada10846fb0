"""Who gets an answer while others fail as often as they can (threat 33)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from proxy.callers.identity import Approach
from proxy.callers.kubernetes import KubernetesReviewer
from proxy.callers.limiter import OVERALL, TooManyFailuresError
from proxy.callers.signing_keys import SigningKeys
from proxy.settings import CallerSettings
from tests.peers.token_issuer import ISSUER, TokenIssuer
from tests.proxy.callers.test_kubernetes import World, approach

ADDRESSES = tuple(f"10.0.0.{number}" for number in range(1, 13))
ANOTHER = "10.0.1.1"
NEW = 35
RATE = 10
BURST = 10 * RATE


def at(client: str, name: str = "tool") -> Approach:
    return approach(name)._replace(client=client)


class Flooded(World):
    """Addresses, each of which has failed as often as all of them together may."""

    def __init__(self) -> None:
        super().__init__(failure_rate=RATE)
        self.made_up = 0

    async def odd(self, client: str) -> str:
        """What a token gets that nobody was given."""
        self.made_up += 1
        return await self.outcome(b"made-up-%d" % self.made_up, at(client))

    async def outcome(self, token: bytes, where: Approach) -> str:
        try:
            user, permission = await self.reviewer.review(token, where)
        except TooManyFailuresError as error:
            return str(error)
        return "nobody" if user is None else "let in" if permission.allowed else "forbidden"

    async def fail(self, *clients: str) -> None:
        for client in clients:
            for _ in range(BURST):
                assert await self.odd(client) == "nobody"

    async def new_callers(self, client: str) -> Counter[str]:
        """What they get, who come at once, within a second."""
        asking = [asyncio.create_task(self.outcome(self.token("api"), at(client))) for _ in range(NEW)]
        await self.clock.advance(1.0)
        assert all(one.done() for one in asking)
        return Counter([await one for one in asking])


async def test_t33_twelve_addresses_keep_out_no_new_caller_of_another_one() -> None:
    world = Flooded()
    await world.fail(*ADDRESSES[:OVERALL])
    waiting = [asyncio.create_task(world.odd(client)) for client in ADDRESSES[OVERALL:] for _ in range(50)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    assert await world.odd(ADDRESSES[0]) == "TooManyRequests"
    assert await world.new_callers(ANOTHER) == {"let in": NEW}
    await world.clock.advance(1.0)
    assert all(one.done() for one in waiting), "theirs is what is left"


async def test_t33_one_that_is_let_in_and_asks_too_much_spends_what_is_its_own() -> None:
    """It is asked about more and more Connectors that it may not use; the other one has the same address."""
    world = Flooded()
    token = world.token("api")
    for number in range(BURST):
        assert await world.outcome(token, at(ANOTHER, f"n{number}")) == "forbidden"
    assert await world.outcome(token, at(ANOTHER, "one-more")) == "TooManyRequests"
    assert await world.outcome(token, at(ADDRESSES[0])) == "let in", "elsewhere it may"
    assert await world.odd(ANOTHER) == "nobody"


async def test_t33_addresses_of_one_site_are_one() -> None:
    world = Flooded()
    for number in range(BURST):
        assert await world.odd(f"2001:db8::{number:x}") == "nobody"
    assert await world.odd("2001:db8::ffff") == "TooManyRequests"
    assert await world.odd("2001:db8:0:1::1") == "nobody"
    assert await world.odd("::ffff:10.0.0.1") == "nobody"


class Signed(Flooded):
    """The API server publishes its key, and has signed what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.issuer = TokenIssuer()
        self.keys = SigningKeys(self.issuer, self.clock)
        settings = CallerSettings(failure_rate=RATE)
        self.reviewer = KubernetesReviewer(self.api, self.clock, settings, "cluster.local", self.keys)

    def token(self, *audiences: str) -> bytes:
        token = self.issuer.token(aud=list(audiences), n=len(self.api.users))
        self.api.users[token.decode()] = audiences
        return token

    async def looks_right(self, client: str) -> str:
        """What a token gets whose signature alone is wrong."""
        self.made_up += 1
        return await self.outcome(TokenIssuer().token(n=self.made_up), at(client))

    async def dead(self, client: str, namespace: str) -> str:
        """What a token gets that the API server has signed, of an account that is gone."""
        self.made_up += 1
        subject = f"system:serviceaccount:{namespace}:gone"
        return await self.outcome(self.issuer.token(sub=subject, n=self.made_up), at(client))


@pytest.fixture
async def signed() -> Signed:
    world = Signed()
    await world.keys.renew()
    # By which name the API server calls itself it says with the first answer.
    assert await world.outcome(world.token("api"), at(ANOTHER)) == "let in"
    return world


async def test_t33_a_token_that_the_api_server_has_signed_needs_nothing_of_its_address(signed: Signed) -> None:
    await signed.fail(*ADDRESSES[:OVERALL])
    assert await signed.odd(ADDRESSES[0]) == "TooManyRequests"
    assert await signed.new_callers(ADDRESSES[0]) == {"let in": NEW}


async def test_t33_tokens_that_look_right_are_as_any_others(signed: Signed) -> None:
    for _ in range(BURST):
        assert await signed.looks_right(ADDRESSES[0]) == "nobody"
    assert await signed.looks_right(ADDRESSES[0]) == "TooManyRequests"
    assert await signed.new_callers(ANOTHER) == {"let in": NEW}


async def test_t33_a_tenant_whose_accounts_are_gone_spends_what_is_its_own(signed: Signed) -> None:
    for _ in range(BURST):
        assert await signed.dead(ADDRESSES[0], "weather") == "nobody"
    assert await signed.dead(ADDRESSES[0], "weather") == "TooManyRequests"
    assert await signed.new_callers(ADDRESSES[0]) == {"let in": NEW}


async def test_t33_nothing_is_looked_at_for_what_is_remembered(signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    token = signed.token("api")
    assert await signed.outcome(token, at(ANOTHER)) == "let in"
    monkeypatch.setattr(signed.keys, "find", pytest.fail)
    for _ in range(3):
        assert await signed.outcome(token, at(ANOTHER)) == "let in"
        assert await signed.outcome(token, at(ANOTHER, "other")) == "forbidden"
    await signed.clock.advance(11)
    assert await signed.outcome(token, at(ANOTHER)) == "let in", "it is known"


async def test_t08_a_signature_lets_nobody_in(signed: Signed) -> None:
    token = signed.issuer.token(aud=["api", ISSUER])
    assert await signed.outcome(token, at(ANOTHER)) == "nobody"
