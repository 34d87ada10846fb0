"""How long an answer of the API server's lets a caller in, whatever was remembered of it (invariants 4, 6 to 8)."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence

import pytest

from connectors.kube.errors import UnavailableError
from proxy.settings import CallerSettings, ClientAuth, ProxySettings
from proxy.wiring import Cluster
from tests.peers.clock import FakeClock
from tests.peers.manifests import bearer_token
from tests.peers.raw_client import connect
from tests.peers.reviewer import Reviewer
from tests.proxy.transcripts.remembering.requests import TOKEN, asking, bearer, named, objects
from tests.proxy.transcripts.remembering.scene import TIMES, Scene, Stage, prime

TTL = 10.0
STALE = 300.0
SETTINGS = ProxySettings(
    client_auth=ClientAuth.KUBERNETES, callers=CallerSettings(cache_ttl=TTL, stale_if_error=STALE, failure_rate=1)
)
KNOWN = asking(b"/x", bearer())
TO_OTHER = asking(b"/x", bearer(), host=named(b"other"))
AWAY = UnavailableError("away")
DUMMY = b"dummy.t0ken.of.nobody"
TWO_TOKENS = asking(b"/x", bearer(DUMMY), b"PRIVATE-TOKEN: " + TOKEN, host=named(b"keyed"))
BY_PATH = asking(b"/namespaces/default/connectors/tool/x", bearer(), host=named(b"front"))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api() -> Reviewer:
    return Reviewer(may=TOKEN.decode())


@pytest.fixture
async def scene(stage: Stage, api: Reviewer, clock: FakeClock) -> Scene:
    return await stage(objects, SETTINGS, Cluster(api, clock))


async def gets(scene: Scene, request: bytes, *statuses: int) -> None:
    """The request is answered so, one time after the other."""
    got = [int((await scene.asks(request))[9:12]) for _ in statuses]
    assert got == list(statuses)


def asked(api: Reviewer) -> Sequence[tuple[str, str]]:
    """What was asked since the last look."""
    questions, api.questions = api.questions, []
    return questions


async def callers(scene: Scene, last: int) -> list[str]:
    """Whom the audit log names for the last requests."""
    await scene.logged(0, scene.answered)
    return [json.loads(line)["caller"]["user"].rpartition(":")[2] for line in scene.records[-last:]]


WHOSE = ("token", TOKEN.decode())


async def test_r07_a_yes_counts_to_its_end_and_not_a_moment_longer(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    await gets(scene, KNOWN, 200, 200, 200, 200)
    assert asked(api) == [WHOSE, ("access", "tool")]
    await clock.advance(TTL - 0.001)
    await gets(scene, KNOWN, 200, 200)
    assert asked(api) == []
    await clock.advance(0.001)
    await gets(scene, KNOWN, 200, 200)
    assert asked(api) == [WHOSE, ("access", "tool")]


@pytest.mark.parametrize("what", ["token", "permission"])
async def test_r07_what_is_revoked_ends_with_the_answer(
    scene: Scene, api: Reviewer, clock: FakeClock, what: str
) -> None:
    await gets(scene, KNOWN, 200, 200, 200, 200)
    if what == "token":
        api.users.clear()
    else:
        api.denied.add(("may", "tool"))
    await clock.advance(TTL - 0.001)
    await gets(scene, KNOWN, 200, 200)
    await clock.advance(0.001)
    status = 401 if what == "token" else 403
    await gets(scene, KNOWN, status, status)


async def test_r07_the_earliest_end_of_all_answers_counts(scene: Scene, api: Reviewer, clock: FakeClock) -> None:
    """Whose the token is was asked for another Connector, before what it may here."""
    await gets(scene, TO_OTHER, 200, 200, 200)
    await clock.advance(TTL / 2)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    assert asked(api) == [WHOSE, ("access", "other"), ("access", "tool")]
    api.users.clear()
    await clock.advance(TTL / 2 - 0.001)
    await gets(scene, KNOWN, 200)
    assert asked(api) == []
    await clock.advance(0.001)
    await gets(scene, KNOWN, 401, 401)
    assert asked(api) == [WHOSE]


async def test_r07_the_end_of_the_later_answer_counts_too(scene: Scene, api: Reviewer, clock: FakeClock) -> None:
    await gets(scene, TO_OTHER, 200, 200)
    await clock.advance(TTL / 2)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    await clock.advance(TTL / 2)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    api.denied.add(("may", "tool"))
    await clock.advance(TTL / 2 - 0.001)
    await gets(scene, KNOWN, 200, 200)
    await clock.advance(0.001)
    await gets(scene, KNOWN, 403)


async def test_r07_a_no_for_the_same_token_ends_what_was_remembered(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    """It comes with a request to another Connector."""
    await gets(scene, TO_OTHER, 200)
    await clock.advance(TTL / 2)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    api.users.clear()
    await clock.advance(TTL / 2)
    await gets(scene, TO_OTHER, 401)
    await gets(scene, KNOWN, 401, 401)


def minted(ends: float) -> bytes:
    """A token that says when it ends."""
    claims = urlsafe_b64encode(json.dumps({"exp": ends}).encode()).rstrip(b"=")
    return b"h." + claims + b".s"


@pytest.mark.parametrize("step", [False, True], ids=["time passes", "the clock is set"])
async def test_r07_no_yes_outlives_its_token(scene: Scene, api: Reviewer, clock: FakeClock, step: bool) -> None:
    token = minted(clock.now().timestamp() + 5)
    api.users[token.decode()] = "may"
    request = asking(b"/x", bearer(token))
    await gets(scene, request, 200, 200, 200, 200)
    for seconds, status in ((4.999, 200), (0.001, 401)):
        if step:
            clock.step(seconds)
        else:
            await clock.advance(seconds)
        await gets(scene, request, status, status)


async def test_r07_a_first_token_that_becomes_valid_is_the_callers(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    """The no of the token that stands first was asked for earlier, and ends earlier."""
    await gets(scene, asking(b"/x", bearer(DUMMY)), 401)
    await clock.advance(TTL / 2)
    await gets(scene, TWO_TOKENS, 200, 200, 200, 200)
    api.users[DUMMY.decode()] = "another"
    await clock.advance(TTL / 2 - 0.001)
    await gets(scene, TWO_TOKENS, 200)
    assert set(await callers(scene, 5)) == {"may"}
    await clock.advance(0.001)
    await gets(scene, TWO_TOKENS, 200, 200)
    assert await callers(scene, 2) == ["another", "another"]


async def test_r07_the_permission_for_hosts_connector_ends_by_itself(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    """The path's is newer, and kept."""
    await gets(scene, asking(b"/x", bearer(), host=named(b"front")), 200)
    await clock.advance(TTL / 2)
    await gets(scene, BY_PATH, 200, 200, 200, 200)
    api.denied.add(("may", "front"))
    await clock.advance(TTL / 2)
    await gets(scene, BY_PATH, 403, 403)


async def test_r07_the_permission_for_the_paths_connector_ends_by_itself(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    await gets(scene, KNOWN, 200)
    await clock.advance(TTL / 2)
    await gets(scene, BY_PATH, 200, 200, 200, 200)
    api.denied.add(("may", "tool"))
    await clock.advance(TTL / 2)
    await gets(scene, BY_PATH, 403, 403)


async def test_r06_what_is_decided_under_the_objects_before_is_not_remembered_beside_those_now(
    scene: Scene, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change while some requests wait to be decided: when the first of them looks at the clock."""
    await gets(scene, KNOWN, 200)
    look = clock.monotonic

    def change_and_look() -> float:
        monkeypatch.undo()
        scene.swap(lambda address: (*objects(address), bearer_token("one", "rotated")))
        return look()

    clients = [await connect(scene.proxy.port) for _ in range(TIMES)]
    monkeypatch.setattr(clock, "monotonic", change_and_look)
    for client in clients:
        client.send(KNOWN)
    for client in clients:
        assert (await client.read_head()).startswith(b"HTTP/1.1 200 ")
        client.transport.abort()
    assert b"injected-one" in scene.tool.requests[-1]
    await gets(scene, KNOWN, 200, 200)
    assert all(b"rotated" in request for request in scene.tool.requests[-2:])


async def test_r07_an_answer_that_was_dropped_lets_no_caller_in(
    scene: Scene, api: Reviewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many other tokens come that the store of answers has no room for the first one any more."""
    monkeypatch.setattr("proxy.callers.answers.MAX_REMEMBERED", 20)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    many = [b"t0ken.%05d" % number for number in range(30)]
    api.users |= {token.decode(): "may" for token in many}
    for token in many:
        await gets(scene, asking(b"/x", bearer(token)), 200)
    asked(api)
    api.users.clear()
    await gets(scene, KNOWN, 401)
    assert asked(api) == [WHOSE]


async def test_r08_a_stale_answer_is_asked_for_again_as_soon_as_may_be(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    """The caller is revoked while the API server is away: what was let in meanwhile makes no yes."""
    await gets(scene, KNOWN, 200, 200, 200, 200)
    api.failure = AWAY
    await clock.advance(TTL)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    stale = {
        question: scene.proxy.metric("connectors_proxy_auth_answers_total", question=question, source="stale")
        for question in ("token", "access")
    }
    assert stale == {"token": 4, "access": 4}
    api.failure = None
    api.users.clear()
    await clock.advance(1.0)
    await gets(scene, KNOWN, 401, 401)


async def test_r08_a_stale_answer_has_an_end(scene: Scene, api: Reviewer, clock: FakeClock) -> None:
    await gets(scene, KNOWN, 200, 200)
    api.failure = AWAY
    await clock.advance(STALE - 0.001)
    await gets(scene, KNOWN, 200, 200, 200, 200)
    await clock.advance(0.001)
    await gets(scene, KNOWN, 503, 503)


async def test_r08_a_token_that_was_not_asked_about_for_a_flood_is_asked_about_behind_it(
    scene: Scene, api: Reviewer, clock: FakeClock
) -> None:
    """The first token was let go unasked, too many of this address being refused; the second one let the caller in."""
    await gets(scene, asking(b"/x", b"PRIVATE-TOKEN: " + TOKEN, host=named(b"keyed")), 200)
    for number in range(10):
        await gets(scene, asking(b"/x", bearer(b"made-up-%d" % number)), 401)
    await gets(scene, TWO_TOKENS, 200, 200, 200, 200)
    limited = scene.proxy.metric("connectors_proxy_auth_answers_total", question="token", source="limited")
    assert limited == 4
    assert set(await callers(scene, 4)) == {"may"}
    api.users[DUMMY.decode()] = "another"
    await clock.advance(1.0)
    await gets(scene, TWO_TOKENS, 200, 200)
    assert await callers(scene, 2) == ["another", "another"]


@pytest.mark.parametrize(
    ("cause", "status"), [("token", 401), ("permission", 403), ("away", 503)], ids=["401", "403", "503"]
)
async def test_r04_a_refusal_ends_with_its_cause(
    scene: Scene, api: Reviewer, clock: FakeClock, cause: str, status: int
) -> None:
    users, api.users = api.users, {} if cause == "token" else api.users
    api.denied = {("may", "tool")} if cause == "permission" else set()
    api.failure = AWAY if cause == "away" else None
    await gets(scene, KNOWN, status, status, status, status)
    api.users, api.denied, api.failure = users, set(), None
    await clock.advance(TTL)
    await gets(scene, KNOWN, 200, 200, 200, 200)


async def test_r04_a_flood_ends(scene: Scene, api: Reviewer, clock: FakeClock) -> None:
    for number in range(10):
        await gets(scene, asking(b"/x", bearer(b"made-up-%d" % number)), 401)
    await gets(scene, KNOWN, 429, 429, 429, 429)
    await clock.advance(1.0)
    await gets(scene, KNOWN, 200, 200, 200, 200)


async def test_r20_answers_about_callers_count_for_each_request(scene: Scene) -> None:
    await prime(scene, KNOWN, times=20)
    count = scene.proxy.metric
    for question in ("token", "access"):
        name = "connectors_proxy_auth_answers_total"
        got = [count(name, question=question, source=source) for source in ("api", "cache", "stale", "none", "limited")]
        assert got == [1, 19, 0, 0, 0]
