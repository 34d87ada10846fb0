from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from connectors.kube.errors import ForbiddenError, UnavailableError
from connectors.kube.resources import TOKEN_REVIEWS, Resource
from proxy.decision import Caller, UnreviewedError
from proxy.token_review import (
    AT_ONCE,
    MAX_REMEMBERED,
    MAX_TOKEN,
    MAX_WAITING,
    PAUSE,
    REMEMBERED,
    STALE,
    TokenReviewer,
)
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


@pytest.mark.parametrize("token", [b"\xff", b"x" * (MAX_TOKEN + 1)])
async def test_no_question_is_spent_on_what_is_no_token(reviewer: TokenReviewer, api: Api, token: bytes) -> None:
    assert await reviewer.review(token) is None
    assert not api.asked


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
    reviewer: TokenReviewer, api: Api, clock: FakeClock, failure: Exception
) -> None:
    api.failure = failure
    with pytest.raises(UnreviewedError):
        await reviewer.review(b"good")
    api.failure = None
    await clock.advance(PAUSE)
    assert await reviewer.review(b"good") == Caller("team", "builder")


async def test_while_the_api_server_is_away_whoever_was_let_in_is_let_in_for_a_while(
    reviewer: TokenReviewer, api: Api, clock: FakeClock
) -> None:
    assert await reviewer.review(b"good") == Caller("team", "builder")
    assert await reviewer.review(b"bad") is None
    api.failure = UnavailableError("away")
    await clock.advance(STALE - 1)
    assert await reviewer.review(b"good") == Caller("team", "builder")
    for token in (b"bad", b"other"):
        with pytest.raises(UnreviewedError):
            await reviewer.review(token)
    await clock.advance(2)
    with pytest.raises(UnreviewedError):
        await reviewer.review(b"good")


async def test_an_answer_that_will_not_tell_lets_nobody_in(reviewer: TokenReviewer, api: Api, clock: FakeClock) -> None:
    await reviewer.review(b"good")
    await clock.advance(REMEMBERED)
    api.failure = ForbiddenError(403, "Forbidden", "no")
    for _ in range(2):  # the second within the pause
        with pytest.raises(UnreviewedError):
            await reviewer.review(b"good")


async def test_an_outage_is_no_flood_and_is_logged_once(
    reviewer: TokenReviewer, api: Api, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    api.failure = UnavailableError("away")
    for _ in range(3):
        for token in (b"good", b"other"):
            with pytest.raises(UnreviewedError):
                await reviewer.review(token)
        await clock.advance(PAUSE)
    assert len(api.asked) == 3
    api.failure = None
    await reviewer.review(b"good")
    assert [record.getMessage() for record in caplog.records] == [
        "callers' tokens cannot be reviewed, trying again: away",
        "callers' tokens are reviewed again",
    ]


def jwt(**claims: float) -> bytes:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    return b"e30." + payload + b".c2ln"


async def test_no_answer_outlives_the_token(reviewer: TokenReviewer, api: Api, clock: FakeClock) -> None:
    token = jwt(exp=clock.now().timestamp() + 5)
    USERS[token.decode()] = USERS["good"]
    assert await reviewer.review(token) == Caller("team", "builder")
    await clock.advance(5)
    api.failure = UnavailableError("away")
    with pytest.raises(UnreviewedError):
        await reviewer.review(token)
    del USERS[token.decode()]


@pytest.mark.parametrize(
    "token", [b"a.b", b"a.%.c", b"a.bm9wZQ.c", b"a.e30.c", jwt(nbf=1.0), b"..", b"a." + b"\xff" + b".c"]
)
async def test_any_token_is_taken(reviewer: TokenReviewer, token: bytes) -> None:
    assert await reviewer.review(token) is None


async def test_questions_at_once_are_bounded(reviewer: TokenReviewer, api: Api) -> None:
    api.gate.clear()
    reviews = [asyncio.create_task(reviewer.review(b"%d" % number)) for number in range(MAX_WAITING + 1)]
    async with asyncio.timeout(5):
        while len(api.asked) < AT_ONCE:  # noqa: ASYNC110 - one turn of the event loop, no time
            await asyncio.sleep(0)
    assert len(api.asked) == AT_ONCE
    with pytest.raises(UnreviewedError):
        await reviews[-1]
    api.gate.set()
    assert await asyncio.gather(*reviews[:-1]) == [None] * MAX_WAITING


async def test_a_flood_of_tokens_is_bounded(reviewer: TokenReviewer, api: Api) -> None:
    for number in range(MAX_REMEMBERED + 1):
        await reviewer.review(str(number).encode())
    assert len(reviewer._answers) == MAX_REMEMBERED
    await reviewer.review(b"0")
    assert api.asked.count("0") == 2
