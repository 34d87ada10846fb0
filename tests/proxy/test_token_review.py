from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from connectors.kube.errors import ForbiddenError, UnavailableError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from proxy.decision import Caller, UnreviewedError
from proxy.token_review import MAX_REMEMBERED, MAX_TOKEN, REMEMBERED, TokenReviewer
from tests.peers.clock import FakeClock

USERS = {"good": "system:serviceaccount:team:builder", "human": "jane", "other": "system:serviceaccount:b:c"}


class Api:
    """An API server that knows USERS; `failure` is raised instead of an answer."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        assert resource is TOKEN_REVIEWS
        assert namespace == ""
        token = body["spec"]["token"]
        self.asked.append(token)
        await self.gate.wait()
        if self.failure:
            raise self.failure
        user = USERS.get(token)
        status = {"authenticated": True, "user": {"username": user}} if user else {"error": "invalid", "user": {}}
        return json.dumps({"kind": "TokenReview", "status": status}).encode()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reviewer(api: Api, clock: FakeClock) -> TokenReviewer:
    return TokenReviewer(api, clock)


@pytest.mark.parametrize(
    ("token", "caller"),
    [
        (b"good", Caller("team", "builder")),
        (b"human", Caller("", "jane")),
        (b"bad", None),
        (b"\xff", None),
        (b"x" * (MAX_TOKEN + 1), None),
    ],
)
async def test_whose_a_token_is(reviewer: TokenReviewer, token: bytes, caller: Caller | None) -> None:
    assert await reviewer.review(token) == caller


@pytest.mark.parametrize("token", [b"good", b"bad"])
async def test_an_answer_is_remembered_for_a_while(
    reviewer: TokenReviewer, api: Api, clock: FakeClock, token: bytes
) -> None:
    await reviewer.review(token)
    await clock.advance(REMEMBERED - 0.1)
    await reviewer.review(token)
    assert len(api.asked) == 1
    await clock.advance(0.2)
    await reviewer.review(token)
    assert len(api.asked) == 2


async def test_many_requests_at_once_ask_once_and_one_that_leaves_takes_nothing_with_it(
    reviewer: TokenReviewer, api: Api
) -> None:
    api.gate.clear()
    reviews = [asyncio.create_task(reviewer.review(b"good")) for _ in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reviews[0].cancel()
    api.gate.set()
    assert await asyncio.gather(*reviews[1:]) == [Caller("team", "builder")] * 4
    assert api.asked == ["good"]


@pytest.mark.parametrize("failure", [UnavailableError("away"), ForbiddenError(403, "Forbidden", "no")])
async def test_without_an_answer_nobody_is_let_in_and_nothing_is_remembered(
    reviewer: TokenReviewer, api: Api, failure: Exception
) -> None:
    api.failure = failure
    with pytest.raises(UnreviewedError):
        await reviewer.review(b"good")
    api.failure = None
    assert await reviewer.review(b"good") == Caller("team", "builder")


async def test_a_flood_of_tokens_is_bounded(reviewer: TokenReviewer, api: Api) -> None:
    for number in range(MAX_REMEMBERED + 1):
        await reviewer.review(str(number).encode())
    assert len(reviewer._answers) == MAX_REMEMBERED
    await reviewer.review(b"0")
    assert api.asked.count("0") == 2
