from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from connectors.kube.errors import UnavailableError
from connectors.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from connectors.objects.connector import ConnectorKey
from connectors.objects.feature_flags import FeatureFlags
from connectors.objects.user import User
from connectors.snapshot import Snapshot
from proxy.callers.answers import MAX_REMEMBERED, AnswerSource
from proxy.callers.identity import Approach
from proxy.callers.kubernetes import MAX_AUDIENCES, KubernetesReviewer
from proxy.callers.limiter import TooManyFailuresError, UnansweredError
from proxy.callers.tokens import Claims
from proxy.decision import Permission
from proxy.settings import CallerSettings
from tests.peers.clock import FakeClock
from tests.peers.manifests import connector
from tests.proxy.callers.test_tokens import jwt
from tests.proxy.decisions import snapshot_of, tool

URL = "http://c-tool.team.svc.cluster.local"
OTHER_URL = "http://c-other.team.svc.cluster.local"
BUILDER = User("system:serviceaccount:team:builder", "7", ("g",))
SNAPSHOT = snapshot_of(tool(), connector("other", "https://other.example", namespace="team"))


class Api:
    """An API server: `users` by token, with the audiences that it confirms; `allowed` are (verb, subresource, name)."""

    def __init__(self) -> None:
        self.users: dict[str, tuple[str, ...]] = {}
        self.allowed = {("get", "", "tool")}
        self.asked: Counter[str] = Counter()
        self.audiences: list[tuple[str, ...]] = []
        self.failure: Exception | None = None

    async def create(self, resource: Resource, body: dict[str, Any], namespace: str = "") -> bytes:
        self.asked[resource.plural] += 1
        if self.failure:
            raise self.failure
        spec = body["spec"]
        if resource is TOKEN_REVIEWS:
            return self._review(spec)
        assert resource is SUBJECT_ACCESS_REVIEWS
        assert (spec["user"], spec["uid"], spec["groups"]) == (BUILDER.username, "7", ["g"])
        wanted = spec["resourceAttributes"]
        allowed = (wanted["verb"], wanted.get("subresource", ""), wanted["name"]) in self.allowed
        return json.dumps({"status": {"allowed": allowed}}).encode()

    def _review(self, spec: dict[str, Any]) -> bytes:
        asked = tuple(spec.get("audiences", ()))
        self.audiences.append(asked)
        known = self.users.get(spec["token"])
        confirmed = [audience for audience in known or () if audience in (asked or ("api",))]
        user = {"username": BUILDER.username, "uid": "7", "groups": ["g"]}
        valid = {"authenticated": True, "user": user, "audiences": confirmed}
        return json.dumps({"status": valid if confirmed else {"authenticated": False}}).encode()


class World:
    def __init__(self, **settings: Any) -> None:
        self.api = Api()
        self.clock = FakeClock()
        self.reviewer = KubernetesReviewer(self.api, self.clock, CallerSettings(**settings), "cluster.local")

    def token(self, *audiences: str) -> bytes:
        token = jwt(aud=list(audiences), exp=self.clock.now().timestamp() + 600, n=len(self.api.users))
        self.api.users[token.decode()] = audiences
        return token

    async def whose(self, token: bytes, name: str = "tool", namespace: str = "team") -> User | None:
        return (await self.reviewer.review(token, approach(name, namespace=namespace)))[0]

    async def may(self, token: bytes, name: str = "tool", namespace: str = "team") -> bool:
        return (await self.permission(token, approach(name, namespace=namespace))).allowed

    async def permission(self, token: bytes, approach: Approach) -> Permission:
        return (await self.reviewer.review(token, approach))[1]


def approach(name: str = "tool", snapshot: Snapshot = SNAPSHOT, namespace: str = "team") -> Approach:
    return Approach(ConnectorKey(namespace, name), snapshot, "10.0.0.1")


@pytest.mark.parametrize(
    ("audiences", "asked", "known", "known_if_required"),
    [
        pytest.param(("api",), (), True, False, id="the API server's"),
        pytest.param((URL,), (URL,), True, True, id="the proxy URL"),
        pytest.param(("api", URL), (URL,), True, True, id="both, as CSI mints them"),
        pytest.param(
            (URL + "/namespaces/team/connectors/tool",), None, True, True, id="the proxy URL of the path form"
        ),
        pytest.param((OTHER_URL,), (), False, False, id="t08 another Connector's"),
        pytest.param(("https://vault.example",), (), False, False, id="t08 another service's"),
        pytest.param(("http://c-tool.team.svc",), (), False, False, id="t08 nearly the proxy URL"),
    ],
)
async def test_t08_for_whom_a_token_is(
    audiences: tuple[str, ...], asked: tuple[str, ...] | None, known: bool, known_if_required: bool
) -> None:
    world = World()
    assert (await world.whose(world.token(*audiences)) is not None) is known
    assert asked is None or world.api.audiences == [asked]
    strict = World(require_audience=True)
    assert (await strict.whose(strict.token(*audiences)) is not None) is known_if_required
    if not known_if_required:
        assert not strict.api.asked, "what cannot be right costs no question"


async def test_t08_a_token_of_one_connector_is_not_remembered_for_another() -> None:
    world = World()
    token = world.token(URL)
    assert await world.whose(token) == BUILDER
    assert await world.whose(token, "other") is None
    assert world.api.audiences == [(URL,), ()]


async def test_one_review_serves_every_connector() -> None:
    world = World()
    token = world.token("api")
    for name in ("tool", "other", "third"):
        assert await world.whose(token, name) == BUILDER
    assert world.api.asked["tokenreviews"] == 1


async def test_a_claim_alone_is_worth_nothing() -> None:
    world = World()
    assert await world.whose(jwt(aud=[URL, "api"], exp=9e9)) is None
    assert await world.whose(b"made.up") is None


async def test_a_token_that_has_ended_is_none_whatever_the_api_server_says() -> None:
    world = World()
    token = world.token("api")
    await world.clock.advance(599.9)
    assert await world.whose(token) == BUILDER
    await world.clock.advance(0.2)
    asked = world.api.asked["tokenreviews"]
    assert await world.whose(token) is None
    assert world.api.asked["tokenreviews"] == asked
    message = "the token expired at 2026-11-23T12:10:00Z; send one that is still good"
    assert (await world.permission(token, approach())).message == message


@pytest.mark.parametrize("exp", [0, -1, -1e300, 0.5])
async def test_whatever_end_a_token_names_is_said_in_a_form_that_can_be_read(exp: float) -> None:
    message = (await World().permission(jwt(exp=exp), approach())).message
    assert message.startswith("the token expired at 1970-01-01T00:00:00Z;")


async def test_roles_decide() -> None:
    world = World()
    token = world.token("api")
    allowed = await world.permission(token, approach())
    assert allowed.allowed
    refused = await world.permission(token, approach("other"))
    assert not refused.allowed
    assert refused.message == (
        'team/builder may not use connectors "other" in namespace "team": it needs a role with verb get on connectors'
    )
    await world.permission(token, approach())
    assert world.api.asked["subjectaccessreviews"] == 2


async def test_a_refused_permission_is_remembered_counted_and_never_stale() -> None:
    world = World(failure_rate=1)
    token = world.token("api")
    for _ in range(3):
        assert not await world.may(token, "other")
    assert world.api.asked["subjectaccessreviews"] == 1
    for number in range(9):
        world.api.allowed = set()
        assert not await world.may(token, f"n{number}")
    with pytest.raises(TooManyFailuresError):
        await world.may(token, "n9")
    world.api.failure = UnavailableError("away")
    await world.clock.advance(11)
    with pytest.raises(UnansweredError):
        await world.may(token, "other")


async def test_what_does_not_exist_can_be_asked_about_but_not_without_end() -> None:
    """Whoever has a role for all names could else make the proxy ask, and forget others, as often as it likes."""
    world = World(failure_rate=1)
    token = world.token("api")
    world.api.allowed = {("get", "", f"n{number}") for number in range(20)}
    for number in range(10):
        assert await world.may(token, f"n{number}")
    with pytest.raises(TooManyFailuresError):
        await world.may(token, "n10")
    assert not world.reviewer._permissions._cache._yes


@pytest.mark.parametrize(("one", "two"), [(("team", "tool"), ("else", "tool")), (("ab", "c"), ("a", "bc"))])
async def test_an_answer_is_about_one_connector(one: tuple[str, str], two: tuple[str, str]) -> None:
    world = World()
    token = world.token(*(f"http://c-{name}.{namespace}.svc.cluster.local" for namespace, name in (one, two)))
    for namespace, name in (one, two):
        assert await world.whose(token, name, namespace) == BUILDER
    assert world.api.asked == {"tokenreviews": 2, "subjectaccessreviews": 2}


async def test_t08_the_audience_has_the_clusters_domain() -> None:
    world = World()
    world.reviewer = KubernetesReviewer(world.api, world.clock, CallerSettings(), "example.org")
    assert await world.whose(world.token("http://c-tool.team.svc.example.org")) == BUILDER
    assert await world.whose(world.token(URL)) is None


async def test_claims_of_accepted_tokens_alone_are_kept_and_only_few() -> None:
    world = World()
    await world.whose(jwt(aud=[URL], exp=9e9))
    assert not world.reviewer._claims
    await world.whose(world.token("api", *(f"https://{number}.example" for number in range(MAX_AUDIENCES))))
    assert not world.reviewer._claims
    await world.whose(world.token("api"))
    assert len(world.reviewer._claims) == 1
    for number in range(MAX_REMEMBERED):
        world.reviewer._remember(b"%d" % number, Claims())
    assert len(world.reviewer._claims) <= MAX_REMEMBERED


WITH_FLAG = Snapshot(**{
    **{name: getattr(SNAPSHOT, name) for name in Snapshot.__dataclass_fields__},
    "flags": FeatureFlags(enable_connector_proxy_permissions=True),
})  # fmt: skip


@pytest.mark.parametrize(
    ("roles", "without", "with_flag"),
    [
        ({("get", "", "tool")}, True, False),
        ({("get", "", "tool"), ("*", "proxy", "tool")}, True, True),
        ({("*", "proxy", "tool")}, False, False),
        (set(), False, False),
    ],
)
async def test_the_flag_asks_for_the_subresource_as_well_at_once(
    roles: set[tuple[str, str, str]], without: bool, with_flag: bool
) -> None:
    world = World()
    world.api.allowed = roles
    token = world.token("api")
    assert (await world.permission(token, approach())).allowed is without
    flagged = await world.permission(token, approach(snapshot=WITH_FLAG))
    assert flagged.allowed is with_flag
    assert flagged.allowed or flagged.message.endswith("connectors and verb * on connectors/proxy")
    assert (await world.permission(token, approach())).allowed is without


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 300, "a\nb"])
async def test_what_can_be_no_name_costs_no_question_of_its_own(name: str) -> None:
    world = World()
    token = world.token("api", f"http://c-{name}.team.svc.cluster.local")
    assert not await world.may(token, name)
    assert await world.whose(token, name) == BUILDER
    assert world.api.asked == {"tokenreviews": 1}
    assert world.api.audiences == [()], "as a token for the API server, which is asked once for all"


async def test_an_outage_keeps_who_was_let_in() -> None:
    world = World(stale_if_error=60.0)
    token = world.token("api")
    let_in = BUILDER, Permission(allowed=True)
    assert await world.reviewer.review(token, approach()) == let_in
    world.api.failure = UnavailableError("away")
    await world.clock.advance(59)
    assert await world.reviewer.review(token, approach()) == let_in
    assert {name: sources[AnswerSource.STALE] for name, sources in world.reviewer.sources.items()} == {
        "token": 1,
        "access": 1,
    }
    await world.clock.advance(1)
    with pytest.raises(UnansweredError):
        await world.whose(token)


async def test_t14_no_token_is_kept() -> None:
    world = World()
    token = world.token("api")
    await world.whose(token)
    await world.permission(token, approach())
    kept = [*world.reviewer._users._cache._yes, *world.reviewer._permissions._cache._yes]
    assert [len(key) for key in kept] == [16, 16]
    assert len(set(kept)) == 2
    other = World()
    other.api.users = world.api.users
    await other.whose(token)
    assert kept[0] not in other.reviewer._users._cache._yes, "the digests of two processes differ"
