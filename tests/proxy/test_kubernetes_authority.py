from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from connectors.kube.errors import UnavailableError
from connectors.kube.resources import SUBJECT_ACCESS_REVIEWS, TOKEN_REVIEWS, Resource
from connectors.model.connector import ConnectorKey
from connectors.model.feature_flags import FeatureFlags
from connectors.model.user import User
from connectors.snapshot import Snapshot
from proxy.answers import Source
from proxy.api_gate import UnansweredError
from proxy.approach import Approach
from proxy.decision import Route
from proxy.kubernetes_authority import KubernetesAuthority
from proxy.settings import CallerSettings
from tests.peers.clock import FakeClock
from tests.proxy.decisions import snapshot_of, tool
from tests.proxy.test_token_claims import jwt

URL = "http://c-tool.team.svc.cluster.local"
OTHER_URL = "http://c-other.team.svc.cluster.local"
BUILDER = User("system:serviceaccount:team:builder", "7", ("g",))
SNAPSHOT = snapshot_of(tool())


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
        self.authority = KubernetesAuthority(self.api, self.clock, CallerSettings(**settings), "cluster.local")

    def token(self, *audiences: str) -> bytes:
        token = jwt(aud=list(audiences), exp=self.clock.now().timestamp() + 600, n=len(self.api.users))
        self.api.users[token.decode()] = audiences
        return token

    async def whose(self, token: bytes, name: str = "tool") -> User | None:
        return await self.authority.whose(token, approach(name))


def approach(name: str = "tool", snapshot: Snapshot = SNAPSHOT, host: str = "") -> Approach:
    key = ConnectorKey("team", name)
    host_key = ConnectorKey("team", host) if host else None
    route = Route(key, snapshot.bindings.get(key), b"", b"", b"", b"/", b"", host_key=host_key)
    return Approach(route, snapshot, "10.0.0.1")


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


async def test_roles_decide() -> None:
    world = World()
    token = world.token("api")
    allowed = await world.authority.may_use(BUILDER, token, approach())
    assert allowed.allowed
    refused = await world.authority.may_use(BUILDER, token, approach("other"))
    assert not refused.allowed
    assert refused.message == (
        'team/builder may not use connectors "other" in namespace "team": it needs a role with verb get on connectors'
    )
    await world.authority.may_use(BUILDER, token, approach())
    assert world.api.asked["subjectaccessreviews"] == 2


async def test_the_connector_that_host_names_counts_too() -> None:
    world = World()
    token = world.token("api")
    assert not (await world.authority.may_use(BUILDER, token, approach(host="other"))).allowed
    world.api.allowed.add(("get", "", "other"))
    await world.clock.advance(10)
    assert (await world.authority.may_use(BUILDER, token, approach(host="other"))).allowed


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
    assert (await world.authority.may_use(BUILDER, token, approach())).allowed is without
    flagged = await world.authority.may_use(BUILDER, token, approach(snapshot=WITH_FLAG))
    assert flagged.allowed is with_flag
    assert flagged.allowed or flagged.message.endswith("connectors and verb * on connectors/proxy")
    assert (await world.authority.may_use(BUILDER, token, approach())).allowed is without


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 300, "a\nb"])
async def test_what_can_be_no_name_costs_no_question(name: str) -> None:
    world = World()
    assert not (await world.authority.may_use(BUILDER, world.token("api"), approach(name))).allowed
    assert not world.api.asked


async def test_an_outage_keeps_who_was_let_in() -> None:
    world = World(stale_if_error=60.0)
    token = world.token("api")
    assert await world.whose(token) == BUILDER
    assert (await world.authority.may_use(BUILDER, token, approach())).allowed
    world.api.failure = UnavailableError("away")
    await world.clock.advance(59)
    assert await world.whose(token) == BUILDER
    assert (await world.authority.may_use(BUILDER, token, approach())).allowed
    assert {name: sources[Source.STALE] for name, sources in world.authority.sources.items()} == {
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
    await world.authority.may_use(BUILDER, token, approach())
    kept = [*world.authority._users._yes, *world.authority._permissions._yes]
    assert [len(key) for key in kept] == [16, 16]
    assert len(set(kept)) == 2
    other = World()
    other.api.users = world.api.users
    await other.whose(token)
    assert kept[0] not in other.authority._users._yes, "the digests of two processes differ"
